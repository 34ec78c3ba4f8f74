#include "server/reflection_service.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/server/service_fixture.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;

class ReflectionServiceTest : public ::testing::Test {
 protected:
  // One question, one answer, on a stream of its own.
  template <typename Service, typename Request>
  auto Ask(const Request& request) {
    auto stub = Service::NewStub(server_.Channel());
    grpc::ClientContext context;
    auto stream = stub->ServerReflectionInfo(&context);
    stream->Write(request);
    std::remove_cvref_t<decltype(AnswerOf(stream.get()))> answer;
    EXPECT_TRUE(stream->Read(&answer));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
    return answer;
  }
  template <typename Request, typename Response>
  static Response AnswerOf(grpc::ClientReaderWriter<Request, Response>*);

  ReflectionService service_{
      {status::v1::StatusService::service_full_name(), ReflectionService::HealthServiceName()}};
  InProcessServer server_{{&service_.v1(), &service_.v1alpha()}};
};

using V1 = grpc::reflection::v1::ServerReflection;
using V1Alpha = grpc::reflection::v1alpha::ServerReflection;

template <typename Answer>
std::vector<std::string> Names(const Answer& answer) {
  std::vector<std::string> names;
  for (const auto& service : answer.list_services_response().service()) {
    names.push_back(service.name());
  }
  return names;
}

TEST_F(ReflectionServiceTest, ListsServicesAndItselfInBothVersions) {
  grpc::reflection::v1::ServerReflectionRequest v1;
  v1.set_list_services("*");
  grpc::reflection::v1alpha::ServerReflectionRequest v1alpha;
  v1alpha.set_list_services("*");

  const auto expected =
      ElementsAre("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                  "grpc.reflection.v1alpha.ServerReflection", "trawl.status.v1.StatusService");
  EXPECT_THAT(Names(Ask<V1>(v1)), expected);
  EXPECT_THAT(Names(Ask<V1Alpha>(v1alpha)), expected);
}

TEST_F(ReflectionServiceTest, ASymbolGivesItsFileFirstAndAllThatItImports) {
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_file_containing_symbol("trawl.status.v1.StatusService");

  const auto answer = Ask<V1>(request);

  std::vector<std::string> files;
  for (const std::string& bytes : answer.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    files.push_back(file.name());
  }
  ASSERT_FALSE(files.empty());
  EXPECT_EQ(files[0], "trawl/status/v1/status.proto");
  EXPECT_THAT(files, ::testing::Contains("trawl/storage/v1/storage.proto"));
  EXPECT_THAT(files, ::testing::Contains("google/protobuf/timestamp.proto"));
}

TEST_F(ReflectionServiceTest, HealthIsDescribed) {
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_file_containing_symbol("grpc.health.v1.Health");

  EXPECT_EQ(Ask<V1>(request).file_descriptor_response().file_descriptor_proto_size(), 1);
}

TEST_F(ReflectionServiceTest, AnUnknownSymbolIsAnErrorMessageAndTheStreamGoesOn) {
  auto stub = V1::NewStub(server_.Channel());
  grpc::ClientContext context;
  auto stream = stub->ServerReflectionInfo(&context);
  grpc::reflection::v1::ServerReflectionRequest request;
  grpc::reflection::v1::ServerReflectionResponse answer;

  request.set_file_containing_symbol("no.such.Thing");
  stream->Write(request);
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(answer.original_request().file_containing_symbol(), "no.such.Thing");

  request.set_file_by_filename("grpc/health/v1/health.proto");
  stream->Write(request);
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_TRUE(answer.has_file_descriptor_response());
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace trawl
