"""Serve an ONNX file of ``dlrun export`` with onnxruntime, on this machine alone.

python examples/serve.py model.onnx 8000
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import onnxruntime

from dlrun.exports.content import KEY, Content

session = onnxruntime.InferenceSession(sys.argv[1])
content = Content.from_json(session.get_modelmeta().custom_metadata_map[KEY], source=sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            size = min(int(self.headers["Content-Length"]), 2**26)
            inputs = content.prepare(json.loads(self.rfile.read(size)))
            values = session.run([output["name"] for output in content.outputs], inputs)
            status, answer = 200, dict(map(describe, content.outputs, values))
        except Exception as error:  # a wrong request must not end the server
            status, answer = 400, {"error": str(error)[:500]}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


def describe(output, values):
    names, is_one = output.get("classes"), output["activation"] == "softmax"
    given = {"classes": [names[n] for n in values.argmax(axis=-1).flat]} if names and is_one else {}
    return output["name"], {"values": values.tolist(), **given}


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print(f"serving on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
