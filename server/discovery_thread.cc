#include "server/discovery_thread.h"

#include <utility>

#include "absl/memory/memory.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "server/await.h"

namespace trawl {

absl::StatusOr<std::unique_ptr<DiscoveryThread>> DiscoveryThread::Start(const Options& options,
                                                                        Deps deps) {
  auto made = absl::WrapUnique(new DiscoveryThread(options, deps));
  ASSIGN_OR_RETURN(std::vector<RestoredSource> restored, made->store_.Recover());
  LogInfo("Discovery state restored", {{"sources", restored.size()}});
  RunOn(made->thread_.loop(), [&] { made->Build(options, std::move(deps), std::move(restored)); });
  return made;
}

DiscoveryThread::DiscoveryThread(const Options& options, const Deps& deps)
    : store_(StateStore::Options{.directory = options.directory},
             StateStore::Deps{deps.files, deps.metrics}),
      thread_(deps.clock, "state") {}

DiscoveryThread::~DiscoveryThread() { Shutdown(); }

void DiscoveryThread::Shutdown() {
  if (std::exchange(ended_, true)) return;
  RunOn(thread_.loop(), [this] {
    sources_.reset();
    discovery_.reset();
  });
  thread_.Shutdown();
}

void DiscoveryThread::Build(const Options& options, Deps deps,
                            std::vector<RestoredSource> restored) {
  EpollLoop& loop = thread_.loop();
  discovery_ = std::make_unique<Discovery>(
      options.discovery, Discovery::Deps{loop, std::move(deps.reconcile), deps.metrics, &store_});
  discovery_->Restore(std::move(restored), store_.last_running());
  sources_ = std::make_unique<ConfigSources>(
      ConfigSources::Deps{loop, loop, deps.files, *discovery_, deps.metrics});
}

void DiscoveryThread::CloseStreams() {
  Awaited<bool> told;
  discovery_->ShutdownAsync([told] { told.Set(true); });
  told.Wait();
}

}  // namespace trawl
