# Stand-in for `rust`: this machine's toolchain on Debian, with the tools and headers for crates with C code. The context has
# `toolchain/` and `ca-certificates.crt`.
FROM stand-in/debian
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
        ca-certificates g++ gcc libc6-dev libcurl4-openssl-dev libssl-dev make perl pkg-config zlib1g-dev >/dev/null \
    && rm -rf /var/lib/apt/lists
COPY toolchain /usr/local/toolchain
# This machine's authorities, because a proxy to the registry may have its own.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/usr/local/cargo/bin:/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CARGO_HOME=/usr/local/cargo \
    CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt
