//! The Kubernetes manifests use existing settings, and keep their promises. `deploy/kubernetes/validate.sh` checks their
//! form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::{
    compose::{OURS, settings},
    project::read,
};

/// The objects of a file of `deploy/kubernetes/`.
fn documents(file: &str) -> Vec<Value> {
    let text = read(&format!("deploy/kubernetes/{file}"));
    serde_yaml_ng::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap()).collect()
}

/// The objects of a file of `deploy/kubernetes/` by kind.
fn objects(file: &str) -> BTreeMap<String, Value> {
    let by_kind = |object: Value| (object["kind"].as_str().unwrap().to_owned(), object);
    documents(file).into_iter().map(by_kind).collect()
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
fn the_user_that_changes_tables_is_known_to_the_migration_alone() {
    let (pod, container) = pod("command-service");
    let migration = &pod["initContainers"][0];
    assert_eq!(migration["args"][0], "migrate");
    assert_eq!(migration["image"], container["image"]);
    assert_eq!(migration["securityContext"], container["securityContext"]);
    assert_eq!(migration["env"][0]["value"], "/secrets/mysql-migration-url");
    assert_eq!(migration["volumeMounts"][0]["name"], "migration-secrets");
    assert!(pod["initContainers"].as_sequence().unwrap().len() == 1);
    let mounts = container["volumeMounts"].as_sequence().unwrap();
    assert!(mounts.iter().all(|mount| mount["name"] != "migration-secrets"), "{mounts:?}");
    let kustomization = read("deploy/kubernetes/kustomization.yaml");
    let secrets = "  - name: command-service-migration\n    files: [secrets/mysql-migration-url]\n";
    assert!(kustomization.contains(secrets), "{kustomization}");
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
            assert_eq!(asked["port"], "admin", "{service}: {probe}");
        }
        // SHUTDOWN_TIMEOUT_SECONDS is 20 by default.
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > before + 20, "{service}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{service}");
    }
}

/// The port that a container calls by this name.
fn named_port(container: &Value, name: &str) -> Option<u64> {
    let ports = container["ports"].as_sequence().unwrap();
    ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()
}

/// The ports of `rules` that the namespaces with this label reach.
fn reached_by<'a>(rules: &'a Value, label: &str) -> Vec<&'a str> {
    let rules = rules.as_sequence().unwrap().iter();
    let of_label = rules.filter(|rule| {
        let peers = rule["from"].as_sequence().unwrap().iter();
        peers.into_iter().any(|peer| peer["namespaceSelector"]["matchLabels"].get(label).is_some())
    });
    let ports = of_label.flat_map(|rule| rule["ports"].as_sequence().unwrap());
    ports.map(|port| port["port"].as_str().unwrap()).collect()
}

#[test]
fn monitoring_reaches_the_port_of_administration_alone_and_nobody_else_reaches_it() {
    for service in OURS {
        let (_, container) = pod(service);
        let admin = named_port(&container, "admin").unwrap();
        assert_eq!(variables(&format!("{service}.env"))["ADMIN_LISTEN"], format!("0.0.0.0:{admin}"));
        let objects = objects(&format!("{service}.yaml"));
        let scraped = &objects["Deployment"]["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(scraped["prometheus.io/port"], admin.to_string(), "{service}");
        for port in objects["Service"]["spec"]["ports"].as_sequence().unwrap() {
            assert_ne!(port["targetPort"], "admin", "{service} offers its administration");
        }
        let policies = documents("network-policies.yaml");
        let policy = policies.iter().find(|policy| policy["metadata"]["name"] == service).unwrap();
        let rules = &policy["spec"]["ingress"];
        assert_eq!(reached_by(rules, "room-reservations/monitoring"), ["admin"], "{service}");
        assert!(!reached_by(rules, "room-reservations/clients").contains(&"admin"), "{service}");
        let open: Vec<_> =
            rules.as_sequence().unwrap().iter().filter(|rule| rule.get("from").is_none()).collect();
        assert_eq!(open, Vec::<&Value>::new(), "{service}");
    }
}

#[test]
fn the_feed_and_its_token_travel_by_tls_with_a_certificate_for_the_name_that_is_asked() {
    let url = variables("query-service.env")["FEED_URL"].clone();
    let (host, port) = url.strip_prefix("https://").unwrap().split_once(':').unwrap();
    let certificate = documents("certificate.yaml").remove(0);
    assert_eq!(certificate["apiVersion"], "cert-manager.io/v1");
    let names = certificate["spec"]["dnsNames"].as_sequence().unwrap();
    assert!(names.iter().any(|name| name == host), "{names:?}");
    let service = &objects("command-service.yaml")["Service"];
    assert_eq!(service["metadata"]["name"], host);
    assert_eq!(service["spec"]["ports"][0]["port"].to_owned(), Value::from(port.parse::<u64>().unwrap()));
    let secret = &certificate["spec"]["secretName"];
    for (service, variables) in [
        ("command-service", &[("TLS_CERT_FILE", "tls.crt"), ("TLS_KEY_FILE", "tls.key")][..]),
        ("query-service", &[("TLS_CA_FILE", "ca.crt")]),
    ] {
        let (pod, container) = pod(service);
        for (variable, file) in variables {
            let given = container["env"].as_sequence().unwrap().iter();
            let given = given.into_iter().find(|given| given["name"] == *variable).unwrap();
            let (folder, name) = given["value"].as_str().unwrap().rsplit_once('/').unwrap();
            assert_eq!(name, *file, "{service}: {variable}");
            let mounts = container["volumeMounts"].as_sequence().unwrap();
            let mount = mounts.iter().find(|mount| mount["mountPath"] == folder).unwrap();
            let volumes = pod["volumes"].as_sequence().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            assert_eq!(&volume["secret"]["secretName"], secret, "{service}: {variable}");
        }
    }
    let (pod, _) = pod("query-service");
    let volumes = pod["volumes"].as_sequence().unwrap();
    let shared = volumes.iter().find(|volume| &volume["secret"]["secretName"] == secret).unwrap();
    let items = shared["secret"]["items"].as_sequence().unwrap();
    assert!(items.iter().all(|item| item["key"] == "ca.crt"), "query-service has the feed's private key");
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
