"""The vision service: labels and captions for images, in a process of its own."""

from .settings import decline_telemetry

# Here, since it is too late once any module has imported ONNX Runtime.
decline_telemetry()
