//! The list of erased persons over real HTTP: who may read and extend it, and its bounds.

use reqwest::Method;
use serde_json::json;
use shared_events::{Erasures, UserId, erasure::ErasuresPage};
use sqlx::Executor;

use crate::{
    erasure::{ANN, columns_that_hold},
    test_service::{TestService, send},
};

#[tokio::test]
async fn erasers_erase_and_services_read_the_list_which_holds_no_name() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let person = json!({"user": ANN});
    let ask = |method: Method, roles: &'static str| {
        service.request(method, "/v1/erasures").header("X-User", "olga").header("X-Roles", roles)
    };
    for method in [Method::GET, Method::POST] {
        let refused = send(ask(method, "").json(&person)).await;
        assert_eq!(refused.problem(), (403, "forbidden", ""));
    }
    for (method, role) in [(Method::GET, "eraser"), (Method::POST, "service")] {
        assert_eq!(send(ask(method, role).json(&person)).await.problem(), (403, "forbidden", ""));
    }
    for (body, field) in
        [(json!({"user": ""}), "/user"), (json!({}), "/user"), (json!({"user": ANN, "x": 1}), "/x")]
    {
        assert_eq!(send(ask(Method::POST, "admin").json(&body)).await.problem().2, field, "{body}");
    }
    let list = send(ask(Method::GET, "service")).await.expect(200);
    assert_eq!((&list.body["epoch"], &list.body["persons"]), (&json!(0), &json!([])));
    let step = send(ask(Method::POST, "eraser").json(&person)).await.expect(200);
    assert_eq!((&step.body["done"], &step.body["examined"]), (&json!(true), &json!(1)));
    let shown = send(ask(Method::GET, "admin")).await.expect(200);
    assert_eq!(shown.body["persons"].as_array().unwrap().len(), 1);
    assert_eq!(shown.body.get("secret"), None, "with the key, a known name can be looked up");
    let list = send(ask(Method::GET, "service")).await.expect(200);
    assert!(!list.body.to_string().contains("ann"), "{list:?}");
    let mut read = Erasures::default();
    assert!(read.add(serde_json::from_value(list.body).unwrap()));
    assert_eq!(
        read.pseudonym(&UserId::new(ANN).unwrap()).unwrap().as_str(),
        step.body["pseudonym"].as_str().unwrap()
    );
    let refused = service.reserve(ANN, &room, 9, 10).await;
    assert_eq!(refused.problem(), (403, "forbidden", ""));
    service.stop().await;
}

#[tokio::test]
async fn a_person_too_many_is_refused_and_one_who_is_listed_is_erased_again() {
    let service = TestService::start().await;
    let erase = async |user: String| {
        let erase = service.request(Method::POST, "/v1/erasures").header("X-User", "olga");
        send(erase.header("X-Roles", "eraser").json(&json!({"user": user}))).await
    };
    let mut listed = 0;
    let refused = loop {
        match erase(format!("invented {listed}")).await {
            answer if answer.status == 200 => listed += 1,
            answer => break answer,
        }
        assert!(listed < 50, "nobody was refused");
    };
    assert_eq!(refused.problem(), (429, "too-many-requests", ""));
    assert!((1..=10).contains(&refused.header("retry-after").parse::<u32>().unwrap()), "{refused:?}");
    assert!(listed >= 10, "{listed}");
    let again = erase("invented 0".to_owned()).await.expect(200);
    assert_eq!(again.body["done"], json!(true));
    service.stop().await;
}

#[tokio::test]
async fn a_list_that_is_full_takes_nobody_more() {
    let service = TestService::start().await;
    let mut database = service.store.database().connect().await;
    database.execute("UPDATE erasure_list SET epoch = 1000000").await.unwrap();
    let person = json!({"user": ANN});
    let refused = send(service.admin(Method::POST, "/v1/erasures").json(&person)).await;
    assert_eq!(refused.problem(), (503, "unavailable", ""));
    assert_eq!(columns_that_hold(&service.store, "erased-").await, Vec::<String>::new());
    service.stop().await;
}

#[tokio::test]
async fn a_list_of_two_hundred_thousand_is_read_in_pages_and_takes_one_more() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let mut database = service.store.database().connect().await;
    let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let fill = format!(
        "INSERT INTO erasures (fingerprint, pseudonym, masked_to) \
         SELECT UNHEX(SHA2(n, 256)), CONCAT('erased-', n), NULL FROM (SELECT a.d + 10 * b.d + 100 * c.d + \
         1000 * e.d + 10000 * f.d + 100000 * g.d n FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f, \
         (SELECT 0 d UNION ALL SELECT 1) g) numbers ORDER BY n"
    );
    database.execute(fill.as_str()).await.unwrap();
    database.execute("UPDATE erasure_list SET epoch = 200000").await.unwrap();
    // The writer reads the list when an append tells it of another epoch.
    service.reserve(ANN, &room, 9, 10).await.expect(201);
    let page = async |after: u64, limit: u32| {
        let ask = service.request(Method::GET, &format!("/v1/erasures?after={after}&limit={limit}"));
        let page = send(ask.header("X-User", "query-service").header("X-Roles", "service")).await.expect(200);
        serde_json::from_value::<ErasuresPage>(page.body).unwrap()
    };
    let mut list = Erasures::default();
    let mut pages = 1;
    while !list.add(page(list.after(), 10_000).await) {
        pages += 1;
    }
    assert_eq!((list.epoch, list.persons.len(), pages), (200_000, 200_000, 21));
    let person = json!({"user": ANN});
    send(service.admin(Method::POST, "/v1/erasures").json(&person)).await.expect(200);
    let next = page(list.after(), 10_000).await;
    assert_eq!((next.persons.len(), next.next), (2, None), "the last known one and the new one");
    assert!(list.add(next));
    assert!(list.pseudonym(&UserId::new(ANN).unwrap()).is_some());
    let refused = service.reserve(ANN, &room, 11, 12).await;
    assert_eq!(refused.problem(), (403, "forbidden", ""));
    for (query, field) in
        [("limit=0", "limit"), ("limit=10001", "limit"), ("after=-1", "after"), ("x=1", "x")]
    {
        let refused = send(service.admin(Method::GET, &format!("/v1/erasures?{query}"))).await;
        assert_eq!((refused.problem().0, refused.problem().2), (400, field), "{query}");
    }
    service.stop().await;
}
