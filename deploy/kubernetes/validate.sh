#!/usr/bin/env bash
# Builds the manifests with kustomize and validates them against the schemas of several versions of Kubernetes:
# deploy/kubernetes/validate.sh [VERSION...]
#
# Needs Go and Python, but no cluster. Keeps kustomize and the schemas in the user's cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
KUSTOMIZE=5.7.1
SCHEMAS=1.34.1
VERSIONS=("$@")
((${#VERSIONS[@]})) || VERSIONS=(1.30 1.32 1.34)
TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/room-reservations/tools"

install_tools() {
    if [[ ! -x $TOOLS/kustomize-$KUSTOMIZE/kustomize ]]; then
        GOBIN="$TOOLS/kustomize-$KUSTOMIZE" go install "sigs.k8s.io/kustomize/kustomize/v5@v$KUSTOMIZE"
    fi
    if [[ ! -x $TOOLS/kubernetes-validate-$SCHEMAS/bin/kubernetes-validate ]]; then
        python3 -m venv "$TOOLS/kubernetes-validate-$SCHEMAS"
        "$TOOLS/kubernetes-validate-$SCHEMAS/bin/pip" install --quiet "kubernetes-validate==$SCHEMAS"
    fi
}

install_tools
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT

# The project has no secrets, so these are placeholders.
cp -r . "$WORK/manifests"
for name in mysql-url mysql-erasure-url mysql-migration-url mongodb-url feed-token notify-key; do echo "$name" >"$WORK/manifests/secrets/$name"; done
"$TOOLS/kustomize-$KUSTOMIZE/kustomize" build "$WORK/manifests" >"$WORK/built.yaml"
# These schemas have no kinds of cert-manager. A test (kubernetes.rs) reads its certificate.
awk 'BEGIN { RS = ORS = "---\n" } !/apiVersion: cert-manager\.io\//' "$WORK/built.yaml" >"$WORK/all.yaml"
for version in "${VERSIONS[@]}"; do
    "$TOOLS/kubernetes-validate-$SCHEMAS/bin/kubernetes-validate" --strict --quiet --kubernetes-version "$version" "$WORK/all.yaml"
done
echo "$(grep -c '^kind: ' "$WORK/all.yaml") objects are valid for Kubernetes ${VERSIONS[*]}"
