# syntax=docker/dockerfile:1
# The bot with both models that it needs to answer, to run as any user, with a read-only root, without a network.
#
#   docker build -t knowledge-bot .
#   docker run --rm -e DISCORD_TOKEN=... -v "$PWD/knowledge:/bot/knowledge:ro" -v knowledge-bot-data:/bot/data knowledge-bot
#
# knowledge/container.md says more; compose.yaml has the whole of it.

ARG PYTHON_VERSION=3.11

# --- build: a virtual environment with everything, from wheels: no compiler is needed, here or later --------------------
FROM python:${PYTHON_VERSION}-slim AS build

# PyTorch's own index has the tested version without CUDA, which saves gigabytes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all:

WORKDIR /source
RUN python -m venv --without-pip /opt/knowledge-bot

# What changes seldom comes first: the libraries, and with them the encoder's weights, which are one of them. Each has one
# index, so that none can be put in the place of another's, and all but PyTorch have the sums of requirements.lock.
COPY pyproject.toml constraints.txt requirements.lock ./
RUN python -m pip --python /opt/knowledge-bot install --no-deps --index-url "${TORCH_INDEX}" -c constraints.txt torch \
    && python -m pip --python /opt/knowledge-bot install --no-deps --require-hashes -r requirements.lock

# The bot itself, with the reader's weights.
COPY README.md LICENSE ./
COPY bot ./bot
RUN python -m pip install -c constraints.txt "setuptools>=77" \
    && python -m pip --python /opt/knowledge-bot install --no-deps --no-build-isolation --no-binary knowledge-bot .

# --- the image ----------------------------------------------------------------------------------------------------------
FROM python:${PYTHON_VERSION}-slim

# Of the program and its weights; docs/licences.md has those of the libraries.
LABEL org.opencontainers.image.title="knowledge-bot" \
      org.opencontainers.image.description="Answers questions from your own documents, in their own words, with file, heading and lines" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0"

RUN groupadd --system --gid 10001 bot \
    && useradd --system --uid 10001 --gid bot --home-dir /bot --no-create-home --shell /usr/sbin/nologin bot \
    && install --directory --owner bot --group bot /bot /bot/data /bot/models

COPY --from=build /opt/knowledge-bot /opt/knowledge-bot
# The handbook, which the bot answers from until other documents take its place.
COPY --chown=root:root knowledge /bot/knowledge

# Further models come from /bot/models; what libraries want to cache goes to /tmp, the only other place to write to.
ENV PATH=/opt/knowledge-bot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HF_HOME=/bot/models \
    BOT_LOG__FORMAT=json

WORKDIR /bot
USER 10001:10001
VOLUME ["/bot/data", "/bot/models"]
EXPOSE 8080
# Stop accepting, answer what runs, hand the rest to the next start.
STOPSIGNAL SIGTERM
# Whether the process lives; whether its platforms are connected too, /health/ready and `knowledge-bot health` say.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["knowledge-bot", "health"]
ENTRYPOINT ["knowledge-bot"]
CMD ["run"]
