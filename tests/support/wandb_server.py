"""A stand-in for W&B's server on loopback: the part of its API that `rnnreg dashboard` uses, and what it was told."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """Keeps views (workspaces and reports) as the real one does: a mutation with an id changes, one without makes.

    Args:
        key_is_right: otherwise every request is refused as the real server refuses a wrong key.
    """

    def __init__(self, key_is_right: bool = True) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.projects: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.streams: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.history: dict[str, dict[int, str]] = {}
        """Lines of each run's history by their number: a line that is sent again replaces what was there."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/file_stream"):
                    stand_in.take(self.path.split("/")[-2], json.loads(content))
                    self.answer(200 if key_is_right else 401, {})
                elif not self.path.startswith("/graphql"):
                    self.answer(200, {})
                elif not key_is_right:
                    self.answer(401, {"errors": [{"message": "user is not logged in"}]})
                else:
                    self.answer(200, {"data": stand_in.graphql(json.loads(content))})

            def do_PUT(self) -> None:
                stand_in.files[self.path] = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.answer(200, {})

            def do_GET(self) -> None:
                self.answer(200, {})

            def answer(self, code: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, run: str, stream: dict[str, Any]) -> None:
        """Keep what a run streams."""
        self.streams.append(stream)
        part = stream.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        self.history.setdefault(run, {}).update(enumerate(part["content"], part["offset"]))

    def answer_runresumestatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        lines = self.history.get(given["name"], {})
        tail = json.dumps([lines[max(lines)]] if lines else [])
        bucket = {
            "id": "UnVuOjE=",
            "name": given["name"],
            "displayName": given["name"],
            "historyLineCount": len(lines),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyTail": tail,
            "eventsTail": "[]",
            "summaryMetrics": json.dumps({"_step": json.loads(lines[max(lines)]).get("_step", 0)} if lines else {}),
            "config": "{}",
            "tags": [],
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {
            "model": {"id": "x", "name": "rnnreg", "entity": {"id": "e", "name": "someone"}, "bucket": run and bucket}
        }

    def graphql(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one query."""
        self.requests.append(request)
        query, given = request["query"], request.get("variables") or {}
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)
        answer = getattr(self, f"answer_{name[1].lower()}" if name else "", None)
        return answer(given) if answer else {}

    def answer_viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        no = {"edges": []}
        viewer = {"id": "VXNlcjox", "entity": "someone", "username": "someone", "email": "", "flags": "{}", "teams": no}
        return {"viewer": {**viewer, "name": "Someone", "admin": False, "deletedAt": None, "apiKeys": no}}

    answer_getdefaultentity = answer_viewer

    def answer_getprojects(self, _: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "__typename": "Project",
                "id": f"UHJvamVjdDo{name}",
                "name": name,
                "entityName": "someone",
                "createdAt": "2026-01-01T00:00:00",
                "isBenchmark": False,
                "user": None,
            }
            for name in self.projects
        ]
        pages = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": pages, "edges": [{"node": node} for node in nodes]}}

    def answer_createproject(self, given: dict[str, Any]) -> dict[str, Any]:
        self.projects.append(given["input"]["name"])
        project = {"id": "UHJvamVjdDox", "name": self.projects[-1], "entityName": "someone", "description": None}
        return {"result": {"project": project, "model": project, "inserted": True}}

    def answer_projectinternalid(self, given: dict[str, Any]) -> dict[str, Any]:
        known = given["projectName"] in self.projects
        return {"project": {"id": "UHJvamVjdDox", "internalId": "UHJvamVjdEludGVybmFsSWQ6MQ=="} if known else None}

    def answer_upsertbucket(self, given: dict[str, Any]) -> dict[str, Any]:
        new = given["name"] not in self.runs
        self.runs[given["name"]] = given
        project = {"id": "UHJvamVjdDox", "name": given["project"], "entity": {"id": "RW50aXR5OjE=", "name": "someone"}}
        bucket = {"id": "UnVuOjE=", "name": given["name"], "displayName": given["displayName"], "project": project}
        nothing = {"sweepName": None, "historyLineCount": 0, "config": "{}"}
        return {"upsertBucket": {"bucket": {**bucket, **nothing}, "inserted": new}}

    def answer_artifacttype(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}  # not there yet

    def answer_createartifact(self, given: dict[str, Any]) -> dict[str, Any]:
        self.artifacts.append(given["input"])
        artifact = {"id": f"QXJ0OjE{len(self.artifacts)}", "state": "COMMITTED"}
        return {"createArtifact": {"artifact": {**artifact, "artifactSequence": {"latestArtifact": None}}}}

    def answer_createrunfiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": "UnVuOjE=", "uploadHeaders": [], "files": files}}

    def answer_upsertview(self, given: dict[str, Any]) -> dict[str, Any]:
        new = not given.get("id")
        identity = given.get("id") or f"Vmlldzo{len(self.views)}"
        self.views[identity] = {**given, "id": identity}
        return {"upsertView": {"view": self.view(identity), "inserted": new}}

    answer_upsertview2 = answer_upsertview

    def answer_view(self, given: dict[str, Any]) -> dict[str, Any]:
        found = [identity for identity, view in self.views.items() if view["name"] == given["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": self.view(identity)} for identity in found]}}}

    def answer_specificreport(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"view": self.view(given["reportId"])}

    def view(self, identity: str) -> dict[str, Any]:
        """A view as the server shows it."""
        view = self.views[identity]
        project = {"id": "UHJvamVjdDox", "name": view["projectName"], "entityName": view["entityName"]}
        shown = {name: view.get(name) for name in ("id", "name", "displayName", "description", "type", "spec")}
        return {**shown, "project": project, "createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
