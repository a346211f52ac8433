# docker build -t milmer .                            without a GPU
# docker build -t milmer --build-arg DEVICE=cuda .    with a GPU of NVIDIA
ARG DEVICE=cpu

FROM ubuntu:24.04 AS cpu
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

# PyTorch's packages contain the CUDA libraries; the image adds the variables of NVIDIA's runtime
FROM nvidia/cuda:12.8.1-base-ubuntu24.04 AS cuda

FROM ${DEVICE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/milmer
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY milmer_cli milmer_cli
ENV PIP_NO_CACHE_DIR=1
RUN python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt .
RUN useradd --create-home --uid 10001 milmer
USER milmer
WORKDIR /work
ENTRYPOINT ["/opt/milmer/.venv/bin/milmer"]
CMD ["--help"]
