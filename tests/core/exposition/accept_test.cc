#include "core/exposition/accept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace trawl {
namespace {

constexpr auto kText004 = ExpositionFormat::kText004;

std::string Choice(std::string_view content_type, std::optional<ExpositionFormat> fallback) {
  const auto choice = ChooseFormat(content_type, fallback);
  if (!choice.ok()) return "error: " + std::string(choice.status().message());
  return choice->warning.empty() ? "text" : "fallback: " + choice->warning;
}

TEST(AcceptTest, TheHeaderAsksForWhatIsThere) {
  const ExpositionFormat both[] = {ExpositionFormat::kText100, kText004};

  EXPECT_EQ(AcceptHeader(both, "allow-utf-8"),
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
            "*/*;q=0.4");
  EXPECT_EQ(AcceptHeader(std::span(both).subspan(1), "underscores"),
            "text/plain;version=0.0.4;q=0.6,*/*;q=0.5");
}

TEST(AcceptTest, PlainTextIsTextWhateverItsParameters) {
  for (const std::string_view type :
       {"text/plain", "text/plain; version=0.0.4", "text/plain;version=1.0.0;escaping=allow-utf-8",
        "Text/Plain; charset=\"utf-8\";", "text/plain; charset=utf-8; version=0.0.4",
        "text/plain; charset=utf-8; Charset=\"utf-8\"", "text/plain; a=\"x\\\"y\\z\""}) {
    EXPECT_EQ(Choice(type, std::nullopt), "text") << type;
    EXPECT_EQ(Choice(type, kText004), "text") << type;
  }
}

TEST(AcceptTest, ABlankContentTypeNeedsAFallback) {
  EXPECT_EQ(Choice("", std::nullopt),
            "error: non-compliant scrape target sending blank Content-Type and no "
            "fallback_scrape_protocol specified for target");
  EXPECT_EQ(Choice("", kText004),
            "fallback: non-compliant scrape target sending blank Content-Type, using "
            "fallback_scrape_protocol \"text/plain\"");
}

TEST(AcceptTest, AnUnparsableContentTypeSaysGosReason) {
  EXPECT_EQ(Choice("invalid/", std::nullopt),
            "error: cannot parse Content-Type \"invalid/\" and no fallback_scrape_protocol for "
            "target\nmime: expected token after slash");
  EXPECT_EQ(
      Choice("invalid/invalid/invalid", kText004),
      "fallback: could not parse received Content-Type \"invalid/invalid/invalid\", using "
      "fallback_scrape_protocol \"text/plain\"\nmime: unexpected content after media subtype");
  EXPECT_EQ(Choice("/", std::nullopt),
            "error: cannot parse Content-Type \"/\" and no fallback_scrape_protocol for target\n"
            "mime: no media type");
  EXPECT_EQ(Choice("text/plain; version=0.0.4; version=1.0.0", std::nullopt),
            "error: cannot parse Content-Type \"text/plain; version=0.0.4; version=1.0.0\" and no "
            "fallback_scrape_protocol for target\nmime: duplicate parameter name");
}

TEST(AcceptTest, AnUnsupportedContentTypeNeedsAFallback) {
  EXPECT_EQ(Choice("text/html", std::nullopt),
            "error: received unsupported Content-Type \"text/html\" and no "
            "fallback_scrape_protocol specified for target");
  EXPECT_EQ(Choice("text/html", kText004),
            "fallback: received unsupported Content-Type \"text/html\", using "
            "fallback_scrape_protocol \"text/plain\"");
}

TEST(AcceptTest, FormatsThatWereNotAskedForAreNeverReadAsText) {
  for (const std::string type :
       {"application/openmetrics-text", "application/vnd.google.protobuf"}) {
    EXPECT_EQ(Choice(type, std::nullopt),
              "error: received unsupported Content-Type \"" + type + "\"");
    EXPECT_EQ(Choice(type, kText004), "error: received unsupported Content-Type \"" + type + "\"");
  }
}

}  // namespace
}  // namespace trawl
