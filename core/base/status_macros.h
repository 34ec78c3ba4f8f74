#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// RETURN_IF_ERROR and ASSIGN_OR_RETURN with the semantics of abseil's later
// absl/status/status_macros.h, which our abseil lacks.

namespace trawl {

// Adds a less specific part to an error's message: errors grow outward, most specific first
// ("line 17, column 9: …; target http://…; job node"). An OK status is returned as it is.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace trawl

#define TRAWL_MACRO_CONCAT_INNER(a, b) a##b
#define TRAWL_MACRO_CONCAT(a, b) TRAWL_MACRO_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                      \
  do {                                             \
    absl::Status trawl_status_ = (expr);           \
    if (!trawl_status_.ok()) return trawl_status_; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) \
  TRAWL_ASSIGN_OR_RETURN_INNER(TRAWL_MACRO_CONCAT(trawl_status_or_, __LINE__), lhs, expr)

#define TRAWL_ASSIGN_OR_RETURN_INNER(var, lhs, expr) \
  auto var = (expr);                                 \
  if (!var.ok()) return std::move(var).status();     \
  lhs = *std::move(var)
