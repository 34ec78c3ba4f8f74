#!/usr/bin/env python3
"""A discovery service in Python: pushes groups to one trawld, as it reads them line by line.

    protoc -I proto --python_out=gen --grpc_out=gen \\
        --plugin=protoc-gen-grpc=$(which grpc_python_plugin) proto/trawl/discovery/v1/discovery.proto
    PYTHONPATH=gen push_targets.py 127.0.0.1:8729 my-source my-job

A line is `KEY host:port host:port ...`; without targets the group goes. An empty line ends the
first state, what follows are changes. The protocol stands in proto/README.md."""
import itertools, queue, sys, threading, time, uuid  # noqa: E401

import grpc
from trawl.discovery.v1 import discovery_pb2 as pb
from trawl.discovery.v1 import discovery_pb2_grpc as rpc


class State:
    """The groups that are wanted, and the version of each one's last change."""

    def __init__(self, job):
        self.job, self.history = job, uuid.uuid4().hex  # versions are compared within a history
        self.version, self.groups, self.changed = 1, {}, {}

    def change(self, line):
        key, *targets = line.split()
        self.version += 1
        self.groups[key], self.changed[key] = targets, self.version

    def group(self, key):
        return pb.TargetGroup(job=self.job, key=key, targets=self.groups[key])

    def snapshot(self):
        parts = [pb.SnapshotPart(groups=[self.group(k)]) for k, t in self.groups.items() if t]
        begin = pb.SnapshotBegin(version=self.version, groups=len(parts),
                                 bytes=sum(part.ByteSize() + 16 for part in parts))
        return [dict(snapshot_begin=begin), *(dict(snapshot_part=part) for part in parts),
                dict(snapshot_end=pb.SnapshotEnd())]

    def delta(self, base):
        keys = [key for key, version in self.changed.items() if version > base]
        return [dict(delta=pb.Delta(
            base_version=base, version=self.version,
            upsert=[self.group(key) for key in keys if self.groups[key]],
            remove=[pb.GroupKey(job=self.job, key=key) for key in keys if not self.groups[key]]))]


def run_stream(stub, source, state, inbox):
    """Speaks until the stream breaks; each message waits for the ack of the one before."""
    outbox, ids = queue.Queue(), itertools.count(1)

    def send(**message):
        outbox.put(request := pb.SyncRequest(id=next(ids), **message))
        return request.id

    def read():
        try:
            for response in stub.Sync(iter(outbox.get, None)):
                inbox.put(response)
            inbox.put(ConnectionError("ended by trawld"))
        except grpc.RpcError as error:
            inbox.put(ConnectionError(f"{error.code().name}: {error.details()}"))

    threading.Thread(target=read, daemon=True).start()
    awaited = send(hello=pb.Hello(source=source, history_id=state.history, version=state.version))
    to_send, applied = [], None
    while True:
        try:
            event = inbox.get(timeout=5)
        except queue.Empty:
            send(heartbeat=pb.Heartbeat())
            continue
        if isinstance(event, str):
            state.change(event)
        elif isinstance(event, ConnectionError):
            outbox.put(None)
            return print("stream ended:", event, flush=True)
        elif event.HasField("welcome"):
            awaited, applied = None, event.welcome.applied_version
            to_send = [] if event.welcome.need == pb.Welcome.NOTHING else state.snapshot()
        elif event.HasField("resync") or event.ack.status == pb.Ack.REJECTED:
            print("again:", event, flush=True)
            awaited, to_send = None, state.snapshot()
            time.sleep(1)
        elif event.HasField("ack") and event.ack.id == awaited:
            awaited, applied = None, event.ack.applied_version
            print(pb.Ack.Status.Name(event.ack.status), applied, list(event.ack.issues), flush=True)
        if awaited is None and not to_send and applied != state.version:
            to_send = state.delta(applied)
        if awaited is None and to_send:
            awaited = send(**to_send.pop(0))


address, source, job = sys.argv[1:]
state, lines = State(job), queue.Queue()
for line in iter(lambda: sys.stdin.readline().strip(), ""):
    state.change(line)
threading.Thread(target=lambda: [lines.put(x) for x in sys.stdin if x.strip()], daemon=True).start()
while True:
    run_stream(rpc.DiscoveryServiceStub(grpc.insecure_channel(address)), source, state, lines)
    time.sleep(1)
