#include "server/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace trawl {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

struct V1 {
  using Service = grpc::reflection::v1::ServerReflection;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
};
struct V1Alpha {
  using Service = grpc::reflection::v1alpha::ServerReflection;
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
};

template <typename Api>
void SetNotFound(const std::string& what, typename Api::Response& response) {
  response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response.mutable_error_response()->set_error_message(absl::StrCat(what, " not found"));
}

// The file and what it imports, each once, itself first.
template <typename Api>
void AddFile(const FileDescriptor& file, typename Api::Response& response) {
  std::vector<const FileDescriptor*> waiting = {&file};
  std::set<const FileDescriptor*> seen = {&file};
  while (!waiting.empty()) {
    const FileDescriptor& next = *waiting.back();
    waiting.pop_back();
    google::protobuf::FileDescriptorProto proto;
    next.CopyTo(&proto);
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(
        proto.SerializeAsString());
    for (int i = 0; i < next.dependency_count(); ++i) {
      if (seen.insert(next.dependency(i)).second) waiting.push_back(next.dependency(i));
    }
  }
}

template <typename Api>
void AnswerExtension(const typename Api::Request& request, typename Api::Response& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const auto& wanted = request.file_containing_extension();
  const auto* type = pool.FindMessageTypeByName(wanted.containing_type());
  const FieldDescriptor* field =
      type == nullptr ? nullptr : pool.FindExtensionByNumber(type, wanted.extension_number());
  if (field == nullptr) {
    return SetNotFound<Api>(
        absl::StrCat("extension ", wanted.extension_number(), " of ", wanted.containing_type()),
        response);
  }
  AddFile<Api>(*field->file(), response);
}

template <typename Api>
void AnswerExtensionNumbers(const std::string& name, typename Api::Response& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const auto* type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return SetNotFound<Api>(absl::StrCat("type ", name), response);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(name);
  for (const FieldDescriptor* extension : extensions) {
    answer.add_extension_number(extension->number());
  }
}

template <typename Api>
typename Api::Response Answer(const std::vector<std::string>& services,
                              const typename Api::Request& request) {
  using Request = typename Api::Request;
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  typename Api::Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& name : services) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    case Request::kFileByFilename:
      file = pool.FindFileByName(request.file_by_filename());
      if (file != nullptr)
        AddFile<Api>(*file, response);
      else
        SetNotFound<Api>(absl::StrCat("file ", request.file_by_filename()), response);
      break;
    case Request::kFileContainingSymbol:
      file = pool.FindFileContainingSymbol(request.file_containing_symbol());
      if (file != nullptr)
        AddFile<Api>(*file, response);
      else
        SetNotFound<Api>(absl::StrCat("symbol ", request.file_containing_symbol()), response);
      break;
    case Request::kFileContainingExtension:
      AnswerExtension<Api>(request, response);
      break;
    case Request::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers<Api>(request.all_extension_numbers_of_type(), response);
      break;
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("no known request is set");
      break;
  }
  return response;
}

// One stream: reads a request, writes its answer, reads the next.
template <typename Api>
class ReflectionStream final
    : public grpc::ServerBidiReactor<typename Api::Request, typename Api::Response> {
 public:
  explicit ReflectionStream(const std::vector<std::string>& services) : services_(services) {
    this->StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::OK);
    response_ = Answer<Api>(services_, request_);
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish({grpc::StatusCode::CANCELLED, "the client is gone"});
    this->StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  const std::vector<std::string>& services_;
  typename Api::Request request_;
  typename Api::Response response_;
};

template <typename Api>
class Service final : public Api::Service::CallbackService {
 public:
  explicit Service(const std::vector<std::string>& services) : services_(services) {}

  grpc::ServerBidiReactor<typename Api::Request, typename Api::Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* /*context*/) override {
    return new ReflectionStream<Api>(services_);
  }

 private:
  const std::vector<std::string>& services_;
};

std::vector<std::string> WithReflection(std::vector<std::string> services) {
  services.emplace_back(V1::Service::service_full_name());
  services.emplace_back(V1Alpha::Service::service_full_name());
  std::sort(services.begin(), services.end());
  return services;
}

}  // namespace

ReflectionService::ReflectionService(std::vector<std::string> services)
    : services_(WithReflection(std::move(services))),
      v1_(std::make_unique<Service<V1>>(services_)),
      v1alpha_(std::make_unique<Service<V1Alpha>>(services_)) {}

ReflectionService::~ReflectionService() = default;

std::string ReflectionService::HealthServiceName() {
  return grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0)->full_name();
}

}  // namespace trawl
