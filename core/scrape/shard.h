#pragma once

#include <cstdint>

#include "core/append/appender.h"
#include "core/base/event_loop.h"
#include "core/base/hash.h"
#include "core/fetch/body_budget.h"
#include "core/fetch/fetcher.h"
#include "core/model/series_key.h"
#include "core/scrape/turn_queue.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {

class ScrapeScratch;

// What one shard's loops share: its thread, its fetcher, its lane, its keys and its scratch
// buffers. Everything but `loop.Post` is for the shard's own thread. All of it outlives the loops.
struct Shard {
  uint32_t number = 0;
  EventLoop& loop;
  Fetcher& fetcher;
  Appender& appender;
  KeyTable& keys;
  ScrapeScratch& scratch;
  HashKey hash_key;
  ScrapeMetrics& metrics;
  BodyBudget& bodies;
  TurnQueue large_bodies{loop};
};

}  // namespace trawl
