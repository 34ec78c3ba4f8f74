#!/usr/bin/python3
"""A storage service that keeps samples in SQLite, each exactly once:  store.py ADDRESS FILE
Wants protoc's output for storage.proto on PYTHONPATH. NULL stands for NaN, and for a series' end."""
import grpc, json, sqlite3, struct, sys, threading, zstandard
from concurrent import futures
from itertools import accumulate
from trawl.storage.v1 import storage_pb2 as pb, storage_pb2_grpc

WINDOW = 16 << 20
SCHEMA = """PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS store AS SELECT hex(randomblob(16)) AS id;
CREATE TABLE IF NOT EXISTS samples(labels, time_ms, value);
CREATE TABLE IF NOT EXISTS lanes(writer, epoch, lane, incarnation, durable, PRIMARY KEY(writer, epoch, lane));"""
OPEN = """SELECT (SELECT id FROM store), max(incarnation), (SELECT durable FROM lanes WHERE
    (writer, epoch, lane) = (?1, ?2, ?3)) FROM lanes WHERE writer = ?1"""
MOVE = """UPDATE lanes SET durable = ?6 WHERE (writer, epoch, lane, durable) = (?1, ?2, ?3, ?5 - 1)
    AND ?4 = (SELECT max(incarnation) FROM lanes WHERE writer = ?1)"""

def varints(data):
    n = shift = 0
    for byte in data:
        n, shift = n | (byte & 127) << shift, shift + 7
        if byte < 128:
            yield n
            n = shift = 0

class Decoder:  # what the D records of a stream define, and the rows that its S records are by it
    def labels(self, ids):
        return {self.strings[name]: self.strings[value] for name, value in zip(ids[::2], ids[1::2])}
    def define(self, d):
        if d.HasField("header"):
            self.external, self.layouts = dict(d.header.external_labels), {}
            self.strings, self.keys = [""], [None]
        self.strings += [text.decode() for text in d.strings.split(b"\xff")[:-1]]
        ids = []
        for key in d.keys:
            ids = [n + (ids[i] if i < len(ids) else 0) for i, n in enumerate(key.labels)]
            self.keys.append((self.labels(ids), key.complete))
        for number, layout in enumerate(d.layouts, d.first_layout):
            new = [self.keys[n] for n in accumulate(layout.keys)]
            target, old = self.layouts.pop(layout.base, (self.labels(layout.target_labels), []))
            keys, steps = [], iter(layout.patch if layout.base else [0, len(new)])
            for n in steps:  # keep n old ones, drop -n, or 0: insert as many as the next one says
                source, n = (old, n) if n else (new, next(steps))
                keys += source[:max(n, 0)]
                del source[:abs(n)]
            self.layouts[number] = target, keys
    def scrape(self, s):  # in raw columns, as Welcome asks for: they need no state
        (target, keys), fields = self.layouts[s.layout], list(varints(s.times))
        times = dict(zip(accumulate(fields[::2]), [n >> 1 ^ -(n & 1) for n in fields[1::2]]))
        absent, stale = (int.from_bytes(bitmap, "little") for bitmap in (s.absent, s.stale))
        values = struct.unpack(f"<{len(s.raw) // 8}d", s.raw)
        for p, (labels, complete) in enumerate(keys):
            if stale >> p & 1 or (values and not absent >> p & 1):
                series = {**self.external, **({} if complete else target), **labels}
                yield json.dumps(series), s.time_ms + times.get(p, 0), None if stale >> p & 1 else values[p]
    def rows(self, records):
        zipped = records.compression == pb.Records.ZSTD
        body = zstandard.decompress(records.body) if zipped else records.body
        while body:
            size, kind, _ = struct.unpack_from("<IBI", body)
            payload, body = body[9:9 + size], body[9 + size:]
            if kind == 1:
                self.define(pb.Dictionary.FromString(payload))
            else:
                yield from self.scrape(pb.Scrape.FromString(payload))

class Store(storage_pb2_grpc.StorageServiceServicer):
    def Append(self, requests, context):
        hello, decoder, taken = next(requests).hello, Decoder(), 0
        who = hello.writer_id, hello.epoch, hello.lane, hello.incarnation
        with lock, db:
            store, known, durable = db.execute(OPEN, who[:3]).fetchone()
            if hello.incarnation < (known or 0):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"fenced by {known}")
            db.execute("REPLACE INTO lanes VALUES (?, ?, ?, ?, ?)", (*who, durable or 0))
        yield pb.AppendResponse(welcome=pb.Welcome(
            store_id=store, durable=durable, window_bytes=WINDOW, encoding=pb.ENCODING_RAW_COLUMNS))
        for r in requests:
            if r.HasField("ping"):
                yield pb.AppendResponse(pong=pb.Pong(nonce=r.ping.nonce))
            first, last, rows = getattr(r.gap, "from"), r.gap.to, []
            if r.HasField("records"):
                first, last = r.records.first_number, r.records.first_number + r.records.count - 1
                taken, rows = taken + len(r.records.body), list(decoder.rows(r.records))
            if first and not r.records.rebuild:
                with lock, db:  # the number, if it is the next one, and the samples; or nothing
                    if db.execute(MOVE, (*who, first, last)).rowcount != 1:
                        raise RuntimeError(f"record {first} is not the next, or {who} is fenced")
                    db.executemany("INSERT INTO samples VALUES (?, ?, ?)", rows)
                durable = last
            yield pb.AppendResponse(ack=pb.Ack(durable=durable, window_bytes=taken + WINDOW))

lock, db = threading.Lock(), sqlite3.connect(sys.argv[2], check_same_thread=False)
db.executescript(SCHEMA)
server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", 64 << 20)])
storage_pb2_grpc.add_StorageServiceServicer_to_server(Store(), server)
server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
