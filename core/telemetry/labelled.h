#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/summary.h>

#include <concepts>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/mutex.h"

namespace trawl {

// The members of one metric family, told apart by label values and made at their first use.
//
// Values are given in the order of the label names. No reference to a member escapes, so a
// member may be removed (its job is gone) while another thread is about to count; a late use
// makes it anew. Thread-safe.
template <typename T>
class Labelled {
 public:
  using Values = std::initializer_list<std::string_view>;

  // Arguments behind `names` go to each member's constructor (quantiles, buckets).
  template <typename... Args>
  Labelled(prometheus::Family<T>& family, std::vector<std::string> names, Args... args)
      : family_(family),
        names_(std::move(names)),
        make_([args...](prometheus::Family<T>& f, const prometheus::Labels& labels) -> T& {
          return f.Add(labels, args...);
        }) {}

  void Set(Values values, double value) requires std::same_as<T, prometheus::Gauge> {
    MutexLock lock(mutex_);
    At(values).Set(value);
  }
  // Of a counter: by 0 makes the member, so that it is exposed before the first event.
  void Increment(Values values, double by = 1) requires std::same_as<T, prometheus::Gauge> ||
      std::same_as<T, prometheus::Counter> {
    MutexLock lock(mutex_);
    At(values).Increment(by);
  }
  void Observe(Values values, double value) requires std::same_as<T, prometheus::Summary> ||
      std::same_as<T, prometheus::Histogram> {
    MutexLock lock(mutex_);
    At(values).Observe(value);
  }
  // 0 for a member that was never used.
  double Value(Values values)
      const requires std::same_as<T, prometheus::Gauge> || std::same_as<T, prometheus::Counter> {
    MutexLock lock(mutex_);
    const auto found = members_.find(Key(values.begin(), values.end()));
    return found == members_.end() ? 0 : found->second->Value();
  }

  // Removes every member whose first label has this value.
  void Remove(std::string_view first) {
    MutexLock lock(mutex_);
    std::erase_if(members_, [&](const auto& member) TRAWL_NO_THREAD_SAFETY_ANALYSIS {
      if (member.first.front() != first) return false;
      family_.Remove(member.second);
      return true;
    });
  }

 private:
  using Key = std::vector<std::string>;

  T& At(Values values) TRAWL_REQUIRES(mutex_) {
    Key key(values.begin(), values.end());
    const auto found = members_.find(key);
    if (found != members_.end()) return *found->second;
    prometheus::Labels labels;
    for (size_t i = 0; i < names_.size(); ++i) labels.emplace(names_[i], key[i]);
    T& member = make_(family_, labels);
    members_.emplace(std::move(key), &member);
    return member;
  }

  prometheus::Family<T>& family_;
  const std::vector<std::string> names_;
  const std::function<T&(prometheus::Family<T>&, const prometheus::Labels&)> make_;

  mutable Mutex mutex_;
  std::map<Key, T*> members_ TRAWL_GUARDED_BY(mutex_);
};

using LabelledCounter = Labelled<prometheus::Counter>;
using LabelledGauge = Labelled<prometheus::Gauge>;
using LabelledSummary = Labelled<prometheus::Summary>;
using LabelledHistogram = Labelled<prometheus::Histogram>;

}  // namespace trawl
