//! The Kubernetes manifests use existing settings, and keep their promises. `deploy/kubernetes/validate.sh` checks their
//! form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::{
    compose::{OURS, settings},
    project::read,
};

/// The objects of a file of `deploy/kubernetes/` by kind.
fn objects(file: &str) -> BTreeMap<String, Value> {
    let text = read(&format!("deploy/kubernetes/{file}"));
    let documents = serde_yaml_ng::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    documents.map(|object| (object["kind"].as_str().unwrap().to_owned(), object)).collect()
}

/// The pod of a service, and its only container.
fn pod(service: &str) -> (Value, Value) {
    let pod = objects(&format!("{service}.yaml"))["Deployment"]["spec"]["template"]["spec"].clone();
    let container = pod["containers"][0].clone();
    (pod, container)
}

/// Lines `NAME=value`.
fn variables(file: &str) -> BTreeMap<String, String> {
    let text = read(&format!("deploy/kubernetes/{file}"));
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_variable_is_a_setting_of_its_service_and_every_required_setting_is_given() {
    for service in OURS {
        let settings = settings(service);
        let mut given = variables(&format!("{service}.env"));
        for variable in pod(service).1["env"].as_sequence().unwrap() {
            let value = variable["value"].as_str().unwrap_or_default();
            given.insert(variable["name"].as_str().unwrap().to_owned(), value.to_owned());
        }
        for (variable, value) in &given {
            let secret =
                variable.strip_suffix("_FILE").and_then(|of| settings.get(of)).filter(|of| of.secret);
            let known = settings.get(variable).is_some_and(|setting| !setting.secret) || secret.is_some();
            assert!(known, "{service} has no setting {variable}, or it is a secret that belongs in a file");
            if secret.is_some() {
                let file = value.strip_prefix("/secrets/").unwrap();
                let kustomization = read("deploy/kubernetes/kustomization.yaml");
                assert!(
                    kustomization.contains(&format!("secrets/{file}")),
                    "{service}: no secret is made for {value}"
                );
            }
        }
        for (setting, _) in settings.iter().filter(|(_, setting)| setting.required) {
            let is_given = given.contains_key(setting) || given.contains_key(&format!("{setting}_FILE"));
            assert!(is_given, "{service} needs {setting}");
        }
    }
}

#[test]
fn a_pod_asks_for_nothing_that_restricted_pod_security_refuses() {
    let namespace = objects("namespace.yaml").remove("Namespace").unwrap();
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    for service in OURS {
        let (pod, container) = pod(service);
        let (of_pod, of_container) = (&pod["securityContext"], &container["securityContext"]);
        assert_eq!(of_pod["runAsNonRoot"], true, "{service}");
        assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault", "{service}");
        assert_eq!(of_container["allowPrivilegeEscalation"], false, "{service}");
        assert_eq!(of_container["readOnlyRootFilesystem"], true, "{service}");
        assert_eq!(of_container["capabilities"]["drop"][0], "ALL", "{service}");
        let user = format!("USER {0}:{0}\n", of_pod["runAsUser"].as_u64().unwrap());
        assert!(
            read("deploy/docker/Dockerfile").contains(&user),
            "{service} runs as another user than its image"
        );
        assert_eq!(pod["automountServiceAccountToken"], false, "{service}");
    }
}

#[test]
fn a_service_is_probed_where_it_listens_and_ends_before_it_is_killed() {
    for service in OURS {
        let (pod, container) = pod(service);
        let port = container["ports"][0]["containerPort"].as_u64().unwrap();
        let listen = format!("FROM runtime AS {service}\n");
        let dockerfile = read("deploy/docker/Dockerfile");
        let stage = dockerfile.split(&listen).nth(1).unwrap();
        assert!(stage.split("FROM ").next().unwrap().contains(&format!("ENV LISTEN=0.0.0.0:{port}\n")));
        for (probe, path) in
            [("startupProbe", "ready"), ("readinessProbe", "live"), ("livenessProbe", "live")]
        {
            let asked = &container[probe]["httpGet"];
            assert_eq!(asked["path"], format!("/health/{path}"), "{service}: {probe}");
            assert_eq!(asked["port"], "http", "{service}: {probe}");
        }
        // SHUTDOWN_TIMEOUT_SECONDS is 20 by default.
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > before + 20, "{service}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{service}");
    }
}

#[test]
fn each_service_scales_by_itself_and_loses_one_pod_at_a_time() {
    for service in OURS {
        let objects = objects(&format!("{service}.yaml"));
        let scaler = &objects["HorizontalPodAutoscaler"]["spec"];
        assert_eq!(scaler["scaleTargetRef"]["name"], service);
        assert!(scaler["minReplicas"].as_u64().unwrap() >= 2, "{service} does not survive the loss of a pod");
        assert!(
            objects["Deployment"]["spec"].get("replicas").is_none(),
            "{service}: the autoscaler sets the number of replicas"
        );
        assert_eq!(objects["PodDisruptionBudget"]["spec"]["maxUnavailable"], 1, "{service}");
        let label = &objects["Deployment"]["spec"]["template"]["metadata"]["labels"];
        for selector in [
            &objects["Deployment"]["spec"]["selector"]["matchLabels"],
            &objects["Service"]["spec"]["selector"],
            &objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        ] {
            assert_eq!(selector, label, "{service}");
        }
    }
}
