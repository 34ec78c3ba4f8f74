#include "server/shard_thread.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/await.h"

namespace trawl {

ShardThread::ShardThread(const Options& options, const Deps& deps)
    : thread_(deps.clock, absl::StrCat("shard-", options.number)), bodies_(options.max_body_bytes) {
  RunOn(thread_.loop(), [&] { Build(options, deps); });
}

ShardThread::~ShardThread() { Shutdown(); }

void ShardThread::Build(const Options& options, const Deps& deps) {
  EpollLoop& loop = thread_.loop();
  if (deps.spooling != nullptr) {
    auto spool = deps.spooling->MakeSpool(options.number, loop);
    spool_ = spool.get();
    log_ = std::move(spool);
  } else {
    log_ = std::make_unique<MemoryRecordLog>(options.log);
  }
  lane_ = std::make_unique<Lane>(options.lane,
                                 Lane::Deps{.loop = loop, .log = *log_, .random = random_});
  earlier_ = std::make_unique<EarlierLanes>(
      EarlierLanes::Options{.identity = options.lane.identity, .session = options.lane.session},
      EarlierLanes::Deps{.loop = loop, .random = random_}, deps.earlier);
  resolver_ = std::make_unique<CaresResolver>(CaresResolver::Options{},
                                              CaresResolver::Deps{.loop = loop, .watcher = loop});
  fetcher_ =
      std::make_unique<CurlFetcher>(options.fetcher, CurlFetcher::Deps{.loop = loop,
                                                                       .watcher = loop,
                                                                       .resolver = *resolver_,
                                                                       .budget = deps.budget,
                                                                       .bodies = bodies_});
  shard_ = std::make_unique<Shard>(Shard{.number = options.number,
                                         .loop = loop,
                                         .fetcher = *fetcher_,
                                         .appender = *lane_,
                                         .keys = keys_,
                                         .scratch = scratch_,
                                         .hash_key = options.hash_key,
                                         .metrics = deps.metrics,
                                         .bodies = bodies_});
}

}  // namespace trawl
