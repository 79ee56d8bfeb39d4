"""The vision service as most would write it: one request, one decoding, one run of the model. Used by vision.py.

    MODEL=model.onnx LABELS=labels.json .venv/bin/python -m uvicorn --app-dir benchmarks vision_peer:app

The same model, the same crop, the same numbers; FastAPI with a plain function, Pillow, and a session with the options
that it comes with.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI, UploadFile
from PIL import Image, ImageOps

SIZE, CROP, MEAN, STD = 224, 0.875, 127.0, 128.0

app = FastAPI()
session = onnxruntime.InferenceSession(os.environ["MODEL"])
labels = json.loads(Path(os.environ["LABELS"]).read_text(encoding="utf-8"))


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/classify")
def classify(file: UploadFile, top_k: int = 5) -> dict[str, Any]:
    image = ImageOps.exif_transpose(Image.open(file.file)).convert("RGB")
    scale = SIZE / CROP / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    pixels = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)), dtype=np.float32)
    values = ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]
    logits = session.run(None, {"images": values})[0][0]
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    best = scores.argsort()[::-1][:top_k]
    return {"results": [{"class_name": labels[index], "score": float(scores[index])} for index in best]}
