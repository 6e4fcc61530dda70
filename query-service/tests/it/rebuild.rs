//! The command `rebuild` without any running service.

use query_service::stores::{Checkpoints, mongo::prefix};
use serde_json::{Value, json};

use crate::{
    crash::program,
    events::Stream,
    feed_double::{FeedDouble, FeedServer},
    kafka_consumer::Topic,
    mongo_database::TestDatabase,
};

struct Operator {
    mongo: TestDatabase,
    topic: Topic,
    feed: FeedServer,
}

impl Operator {
    async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = program(&self.mongo, &self.topic, &self.feed);
        let output = command.args(arguments).arg("--json").output().await.unwrap();
        let status = output.status.code().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_slice(&output.stdout);
        (status, value.unwrap_or_else(|error| panic!("{error}: {errors}")))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_service_read_models_are_built_from_the_feed_and_rebuilt() {
    let mut stream = Stream::new("Blue");
    let mut parked = Stream::new("Green");
    stream.reserve("ann", 1, 2);
    parked.reserve("bob", 1, 2);
    parked.events[1].payload = b"{\"reservation\":7}".to_vec();
    let double = FeedDouble::of(&[&stream, &parked]);
    let operator = Operator {
        mongo: TestDatabase::create().await,
        topic: Topic::named_anew(3),
        feed: FeedServer::start(std::sync::Arc::clone(&double)).await,
    };
    operator.topic.make().await;
    for (number, before) in [(1, Value::Null), (2, json!(1))] {
        let (status, report) = operator.run(&["rebuild"]).await;
        assert_eq!(status, 0, "{report}");
        assert_eq!((&report["generation"], &report["before"]), (&json!(number), &before));
        let (status, verified) = operator.run(&["verify", "--all"]).await;
        assert_eq!((status, &verified["differences"], &verified["behind"]), (0, &json!([]), &json!([])));
        assert_eq!(verified["parked"][0]["room"], json!(parked.room));
        let models = operator.mongo.models(&prefix(number)).await;
        let checkpoints = models.checkpoints(&[stream.room, parked.room]).await.unwrap();
        assert_eq!(checkpoints[&stream.room].version, stream.head());
        assert_eq!(checkpoints[&parked.room].version, 1);
        // No service feeds the live generation: the next rebuild brings it level too.
        stream.reserve("ann", 3 + number, 4 + number);
        double.put(&stream);
    }
    let (status, list) = operator.run(&["generations"]).await;
    let states: Vec<_> = list.as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!((status, states), (0, vec![&json!("old"), &json!("live")]));
}
