"""trawld's services from Python, by the descriptors that the build makes: no generated code."""
import pathlib
import os

import grpc
import grpc._channel  # else imported with the first channel, where another thread's import may break it (Python 3.11)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTOSET = pathlib.Path(os.environ["TRAWL_BIN"]).parent / "trawl.protoset"


def load():
    files = descriptor_pb2.FileDescriptorSet.FromString(PROTOSET.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool, message_factory.MessageFactory(pool)


POOL, FACTORY = load()


def message(name):
    """The class of a message: message("trawl.discovery.v1.PushRequest")."""
    return FACTORY.GetPrototype(POOL.FindMessageTypeByName(name))


class Client:
    """Calls by full name: client.unary("trawl.status.v1.StatusService/ListPools")(request)."""

    def __init__(self, address, credentials=None, options=()):
        options = [("grpc.use_local_subchannel_pool", 1), *options]
        self.channel = (grpc.secure_channel(address, credentials, options) if credentials
                        else grpc.insecure_channel(address, options))

    def close(self):
        self.channel.close()

    def _method(self, make, name):
        service, method = name.split("/")
        found = POOL.FindServiceByName(service).FindMethodByName(method)
        return make("/" + name, request_serializer=lambda m: m.SerializeToString(),
                    response_deserializer=FACTORY.GetPrototype(found.output_type).FromString)

    def unary(self, name):
        return self._method(self.channel.unary_unary, name)

    def server_stream(self, name):
        return self._method(self.channel.unary_stream, name)

    def stream(self, name):
        return self._method(self.channel.stream_stream, name)
