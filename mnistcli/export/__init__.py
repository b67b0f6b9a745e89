"""The network leaves: integer model, C, web page, ONNX, and the proof that they agree."""
