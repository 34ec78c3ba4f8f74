#include "server/access/rpc_certificates.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc_server.h"
#include "tests/core/fetch/test_certificates.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"
#include "trawl/discovery/v1/discovery.grpc.pb.h"

namespace trawl {
namespace {

using discovery::v1::DiscoveryService;
using ::testing::HasSubstr;

// Channels with equal arguments share one.
grpc::ChannelArguments OwnConnection() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

class RpcCertificatesTest : public ::testing::Test {
 protected:
  RpcCertificatesTest() {
    Put(first_);
    files_.Put("/ca", authority_.certificate());
  }

  void Put(const TestCertificate& pair) {
    files_.Put("/crt", pair.certificate);
    files_.Put("/key", pair.key);
  }
  std::unique_ptr<RpcCertificates> Open() {
    auto opened = RpcCertificates::Open(files_, tls_);
    EXPECT_OK(opened);
    return *std::move(opened);
  }

  const TestAuthority authority_;
  const TestCertificate first_ = authority_.Issue("DNS:a");
  const TestCertificate second_ = authority_.Issue("DNS:a");
  const RpcTls tls_ = {.cert_file = "/crt", .key_file = "/key", .client_ca_file = "/ca"};
  MemFileSystem files_;
};

TEST_F(RpcCertificatesTest, ARenewalCountsWhenItIsWhole) {
  const auto certificates = Open();

  files_.Put("/key", second_.key);
  EXPECT_THAT(certificates->Refresh(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/key: ")));
  EXPECT_EQ(certificates->Current()->key, first_.key);
  EXPECT_EQ(certificates->Current()->certificate, first_.certificate);

  files_.Put("/crt", second_.certificate);
  EXPECT_OK(certificates->Refresh());
  EXPECT_EQ(certificates->Current()->key, second_.key);
  EXPECT_EQ(certificates->Current()->certificate, second_.certificate);
}

TEST_F(RpcCertificatesTest, WhatDidNotChangeIsTheSameObject) {
  const auto certificates = Open();
  const auto before = certificates->Current();

  EXPECT_OK(certificates->Refresh());

  EXPECT_EQ(certificates->Current(), before);
}

TEST_F(RpcCertificatesTest, TextThatIsWrongOrGoneChangesNothing) {
  const auto certificates = Open();
  const auto before = certificates->Current();
  const std::string half = first_.certificate.substr(0, first_.certificate.size() / 2);
  for (const char* file : {"/crt", "/key", "/ca"}) {
    const std::string right = *files_.ReadFile(file);
    for (const std::string& wrong : {std::string(), std::string("nonsense"), half}) {
      files_.Put(file, wrong);
      EXPECT_THAT(certificates->Refresh().message(), HasSubstr(file)) << wrong;
      EXPECT_EQ(certificates->Current(), before);
    }
    ASSERT_OK(files_.Remove(file));
    EXPECT_THAT(certificates->Refresh(), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_EQ(certificates->Current(), before);
    files_.Put(file, right);
    EXPECT_OK(certificates->Refresh());
  }
  files_.Put("/crt", first_.certificate + half);  // a chain that is cut off
  EXPECT_THAT(certificates->Refresh().message(), HasSubstr("/crt"));
  files_.Put("/crt", first_.certificate + authority_.certificate());
  EXPECT_OK(certificates->Refresh());
}

TEST_F(RpcCertificatesTest, WrongAuthoritiesDoNotHoldUpARenewal) {
  const auto certificates = Open();

  files_.Put("/ca", "nonsense");
  Put(second_);

  EXPECT_THAT(certificates->Refresh().message(), HasSubstr("/ca"));
  EXPECT_EQ(certificates->Current()->certificate, second_.certificate);
  EXPECT_EQ(certificates->Current()->client_authorities, authority_.certificate());
}

TEST_F(RpcCertificatesTest, ANewConnectionGetsWhatWasReadLast) {
  const TestAuthority other;
  Put(authority_.Issue("IP:127.0.0.1"));
  const auto certificates =
      RpcCertificates::Open(files_, {.cert_file = "/crt", .key_file = "/key"}).value();
  DiscoveryService::CallbackService service;
  RpcServer::Options options;
  options.credentials = certificates->MakeCredentials();
  const auto server = RpcServer::Start(options, *ListenSockets::Open({"127.0.0.1", 0}), {&service});
  ASSERT_OK(server);
  const auto connect = [&](const TestAuthority& trusted) {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = trusted.certificate();
    return DiscoveryService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", (*server)->port()), grpc::SslCredentials(ssl), OwnConnection()));
  };
  const auto code = [](DiscoveryService::Stub& stub) {
    grpc::ClientContext context;
    discovery::v1::ReleaseResponse response;
    return stub.Release(&context, {}, &response).error_code();
  };
  const auto old = connect(authority_);
  EXPECT_EQ(code(*old), grpc::StatusCode::UNIMPLEMENTED);  // it gets as far as the service
  EXPECT_EQ(code(*connect(other)), grpc::StatusCode::UNAVAILABLE);

  Put(other.Issue("IP:127.0.0.1"));
  EXPECT_EQ(code(*connect(authority_)), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_OK(certificates->Refresh());

  EXPECT_EQ(code(*connect(other)), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(code(*connect(authority_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(code(*old), grpc::StatusCode::UNIMPLEMENTED) << "a connection that stands goes on";
}

TEST_F(RpcCertificatesTest, AWrongFileIsToldAtTheStart) {
  files_.Put("/key", second_.key);
  EXPECT_THAT(RpcCertificates::Open(files_, tls_).status().message(), HasSubstr("/key"));
}

}  // namespace
}  // namespace trawl
