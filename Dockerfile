# docker build -t nait .                                  CPU
# docker build -t nait --build-arg TORCH=cu128 .          CUDA 12.8
# docker run --rm -v "$PWD":/work nait experiment=quickstart
FROM python:3.11-slim
ARG TORCH=cpu
WORKDIR /opt/nait
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY baselines ./baselines
COPY conf ./conf
COPY eval ./eval
COPY nait ./nait
COPY sweeps ./sweeps
RUN sed -n 's/^torch==\([^+]*\).*/\1/p' constraints.txt > torch-version \
 && python -m pip install --no-cache-dir "torch==$(cat torch-version)" --index-url "https://download.pytorch.org/whl/${TORCH}" \
 && grep -v '^torch==' constraints.txt > constraints-without-torch.txt \
 && python -m pip install --no-cache-dir -c constraints-without-torch.txt .
ENV HF_HUB_OFFLINE=1 WANDB_MODE=offline
WORKDIR /work
ENTRYPOINT ["nait"]
