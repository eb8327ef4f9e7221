"""Serve an ONNX file of ``dlrun export`` over HTTP, with onnxruntime and no training framework.

    python examples/serve.py model.onnx --port 8000
    curl -d '{"input": [[[0, ...], ...]]}' http://127.0.0.1:8000/predict

A request names the file's inputs, or the columns of a table; GET / says what the file is.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

from dlrun.exports.content import KEY, Content

LARGEST = 64 * 2**20  # bytes of a request


class Handler(BaseHTTPRequestHandler):
    session: onnxruntime.InferenceSession
    content: Content

    def do_GET(self):
        about = json.loads(self.content.to_json())
        self.answer(200, {key: about[key] for key in ("inputs", "outputs", "epoch", "run")})

    def do_POST(self):
        try:
            size = int(self.headers.get("Content-Length", 0))
            if self.path != "/predict" or not 0 < size <= LARGEST:
                raise ValueError("expected POST /predict with a JSON object")
            inputs = self.content.prepare(json.loads(self.rfile.read(size)))
            names = [output["name"] for output in self.content.outputs]
            found = dict(zip(names, self.session.run(names, inputs), strict=True))
            self.answer(200, {name: self.describe(name, found[name]) for name in names})
        except Exception as error:  # a wrong request must not end the server
            self.answer(400, {"error": str(error)[:500]})

    def describe(self, name, values):
        [output] = [one for one in self.content.outputs if one["name"] == name]
        described = {"values": np.where(np.isfinite(values), values, None).tolist()}
        if output["activation"] == "softmax":
            names, best = output.get("classes"), values.argmax(axis=-1).tolist()
            described["classes"] = [names[index] for index in best] if names else best
        return described

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--port", type=int, default=8000)
    typed = parser.parse_args()
    Handler.session = onnxruntime.InferenceSession(typed.file)
    text = Handler.session.get_modelmeta().custom_metadata_map[KEY]
    Handler.content = Content.from_json(text, source=typed.file)
    server = ThreadingHTTPServer(("127.0.0.1", typed.port), Handler)
    print(f"serving on http://127.0.0.1:{server.server_port}/predict", flush=True)
    server.serve_forever()
