#include "tests/churn/store_link.h"

#include <utility>

#include "absl/status/status.h"

namespace trawl {

class StoreLink::Stream final : public AppendStream {
 public:
  Stream(StoreLink& link, uint64_t id, std::shared_ptr<Ends> ends)
      : link_(link), id_(id), ends_(std::move(ends)) {}
  ~Stream() override {
    ends_->observer = nullptr;
    link_.Close(id_, absl::CancelledError("destroyed"));
  }

  void Write(storage::v1::AppendRequest message) override {
    link_.loop_.Post([&link = link_, id = id_, ends = ends_, message = std::move(message)] {
      if (!link.open_.contains(id)) return;
      link.store_.OnRequest(id, message);
      if (ends->observer != nullptr && !ends->closed) ends->observer->OnWritten();
    });
  }
  void HalfClose() override { link_.store_.OnHalfClosed(id_); }
  void Cancel() override { link_.Close(id_, absl::CancelledError("cancelled")); }

 private:
  StoreLink& link_;
  const uint64_t id_;
  const std::shared_ptr<Ends> ends_;
};

// What the store says.
class StoreLink::Wire final : public StoreStream {
 public:
  Wire(StoreLink& link, uint64_t id, std::shared_ptr<Ends> ends)
      : link_(link), id_(id), ends_(std::move(ends)) {}

  void Send(storage::v1::AppendResponse message) override {
    link_.loop_.Post([ends = ends_, message = std::move(message)] {
      if (ends->observer != nullptr && !ends->closed) ends->observer->OnMessage(message);
    });
  }
  void Finish(const absl::Status& status) override {
    link_.loop_.Post([&link = link_, id = id_, status] { link.Close(id, status); });
  }

 private:
  StoreLink& link_;
  const uint64_t id_;
  const std::shared_ptr<Ends> ends_;
};

std::unique_ptr<AppendStream> StoreLink::Open(AppendStream::Observer& observer) {
  const uint64_t id = ++last_id_;
  auto ends = std::make_shared<Ends>();
  ends->observer = &observer;
  open_[id] = ends;
  if (cut_) {
    Close(id, absl::UnavailableError("the link is cut"));
  } else {
    store_.OnOpened(id, std::make_shared<Wire>(*this, id, ends));
  }
  return std::make_unique<Stream>(*this, id, std::move(ends));
}

void StoreLink::Cut() {
  cut_ = true;
  while (!open_.empty()) Close(open_.begin()->first, absl::UnavailableError("the link is cut"));
}

// Both ends hear of it in a turn of their own.
void StoreLink::Close(uint64_t id, const absl::Status& status) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const std::shared_ptr<Ends> ends = std::move(found->second);
  open_.erase(found);
  loop_.Post([this, id, ends, status] {
    store_.OnClosed(id);
    ends->closed = true;
    if (ends->observer != nullptr) ends->observer->OnClosed(status);
  });
}

}  // namespace trawl
