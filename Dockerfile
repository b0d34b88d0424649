# A small image with the program candling as its entry point, for processors (no CUDA).
#
#   docker build -t candling .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" candling predict --model FOLDER PICTURE
#
# docs/install.md has more. The build needs the Debian archive and crates.io, and nothing else. The machine on which this
# file was written has no container engine: its two halves (the cargo command, and the program in an empty folder) are
# tested there, and the image as a whole is not.

# Debian 12 packages Rust twice: `rustc` is too old, `rustc-web` is the version that its browsers are built with.
FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates cargo-web gcc g++ libc6-dev make rustc-web
WORKDIR /source
COPY . .
# Line tables are for crash reports of developers, and several times as large as the program.
RUN cargo install --locked --path crates/candling --root /usr/local --config profile.release.debug=false \
    --config 'profile.release.strip="symbols"'

FROM debian:bookworm-slim
# Certificates are for models of the Hugging Face hub.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm --recursive --force /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/candling /usr/local/bin/candling
# Runs are written to the folder runs of /work, and downloaded models to /models.
ENV HF_HOME=/models
RUN mkdir --mode=777 /work /models
USER nobody
WORKDIR /work
ENTRYPOINT ["candling"]
CMD ["--help"]
