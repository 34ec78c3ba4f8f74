#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/status_macros.h"

// Matchers of absl::Status and absl::StatusOr under the names of abseil's later
// absl/status/status_matchers.h, which our abseil lacks.
//
//   EXPECT_OK(file->Sync());
//   ASSERT_OK_AND_ASSIGN(const std::string text, fs.ReadFile("a"));
//   EXPECT_THAT(fs.ReadFile("b"), StatusIs(absl::StatusCode::kNotFound));
//   EXPECT_THAT(Parse("x"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 1")));
//   EXPECT_THAT(Parse("1"), IsOkAndHolds(1));

namespace trawl {
namespace matchers_internal {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

class StatusMatcher {
 public:
  using is_gtest_matcher = void;

  StatusMatcher(::testing::Matcher<absl::StatusCode> code,
                ::testing::Matcher<const std::string&> message)
      : code_(std::move(code)), message_(std::move(message)) {}

  template <typename T>
  bool MatchAndExplain(const T& value, ::testing::MatchResultListener* listener) const {
    const absl::Status& status = GetStatus(value);
    *listener << "which is " << status.ToString();
    return code_.Matches(status.code()) && message_.Matches(std::string(status.message()));
  }
  void DescribeTo(std::ostream* os) const {
    *os << "has a code that ";
    code_.DescribeTo(os);
    *os << " and a message that ";
    message_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "not (";
    DescribeTo(os);
    *os << ")";
  }

 private:
  ::testing::Matcher<absl::StatusCode> code_;
  ::testing::Matcher<const std::string&> message_;
};

template <typename Inner>
class HoldsMatcher {
 public:
  explicit HoldsMatcher(Inner inner) : inner_(std::move(inner)) {}

  template <typename StatusOr>
  operator ::testing::Matcher<StatusOr>() const {  // NOLINT: a polymorphic matcher
    return ::testing::Matcher<StatusOr>(new Typed<StatusOr>(inner_));
  }

 private:
  template <typename StatusOr>
  class Typed : public ::testing::MatcherInterface<StatusOr> {
   public:
    using Value = typename std::remove_cvref_t<StatusOr>::value_type;

    explicit Typed(const Inner& inner) : inner_(::testing::SafeMatcherCast<const Value&>(inner)) {}

    bool MatchAndExplain(StatusOr result, ::testing::MatchResultListener* listener) const override {
      if (!result.ok()) {
        *listener << "which is " << result.status().ToString();
        return false;
      }
      return inner_.MatchAndExplain(*result, listener);
    }
    void DescribeTo(std::ostream* os) const override {
      *os << "is OK and holds a value that ";
      inner_.DescribeTo(os);
    }

   private:
    const ::testing::Matcher<const Value&> inner_;
  };

  Inner inner_;
};

}  // namespace matchers_internal

inline matchers_internal::StatusMatcher IsOk() {
  return {absl::StatusCode::kOk, ::testing::A<const std::string&>()};
}

inline matchers_internal::StatusMatcher StatusIs(
    ::testing::Matcher<absl::StatusCode> code,
    ::testing::Matcher<const std::string&> message = ::testing::A<const std::string&>()) {
  return {std::move(code), std::move(message)};
}

template <typename Inner>
matchers_internal::HoldsMatcher<std::decay_t<Inner>> IsOkAndHolds(Inner&& inner) {
  return matchers_internal::HoldsMatcher<std::decay_t<Inner>>(std::forward<Inner>(inner));
}

}  // namespace trawl

#define EXPECT_OK(expr) EXPECT_THAT(expr, ::trawl::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT(expr, ::trawl::IsOk())

#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  TRAWL_ASSERT_OK_AND_ASSIGN_INNER(TRAWL_MACRO_CONCAT(trawl_assert_status_or_, __LINE__), lhs, expr)

#define TRAWL_ASSERT_OK_AND_ASSIGN_INNER(var, lhs, expr) \
  auto var = (expr);                                     \
  ASSERT_THAT(var, ::trawl::IsOk());                     \
  lhs = *std::move(var)
