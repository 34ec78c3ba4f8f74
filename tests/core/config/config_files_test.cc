#include "core/config/config_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ConfigFilesTest : public testing::Test {
 protected:
  ConfigFilesTest() {
    options_.check_client = [this](const HttpClientConfig& http) {
      checked_.push_back(http.tls_config.ca.file);
      return next_check_;
    };
  }

  absl::StatusOr<LoadedConfig> Load(const std::string& config) {
    files_.Put("/c/p.yml", config);
    return LoadConfigFiles(files_, {"/c/p.yml", trawl_config_}, options_, &problems_);
  }
  std::vector<std::string> Problems(const std::string& config) {
    const absl::Status status = Load(config).status();
    EXPECT_EQ(status, ProblemsToStatus(problems_));
    std::vector<std::string> texts;
    for (const ConfigProblem& problem : problems_) texts.push_back(problem.ToString());
    return texts;
  }

  MemFileSystem files_;
  std::string trawl_config_;
  LoadOptions options_;
  absl::Status next_check_;
  std::vector<std::string> checked_;
  std::vector<ConfigProblem> problems_;
};

TEST_F(ConfigFilesTest, EveryTlsFileThatIsNotThereIsToldWhereItStands) {
  EXPECT_THAT(
      Problems("scrape_configs:\n"
               "- job_name: a\n"
               "  tls_config: {ca_file: ca.pem, cert_file: c.pem, key_file: /k.pem}\n"
               "remote_write:\n"
               "- url: https://x/\n"
               "  tls_config: {ca_file: ca.pem}\n"),
      ElementsAre(
          "/c/p.yml: line 3, column 16: ca_file: open /c/ca.pem: No such file or directory",
          "/c/p.yml: line 3, column 33: cert_file: open /c/c.pem: No such file or directory",
          "/c/p.yml: line 3, column 51: key_file: open /k.pem: No such file or directory",
          "/c/p.yml: line 6, column 16: ca_file: open /c/ca.pem: No such file or directory"));
  EXPECT_THAT(checked_, IsEmpty()) << "what is in the files is looked at when all are there";
}

TEST_F(ConfigFilesTest, WhatIsWrongInATlsFileIsToldOfEachSection) {
  files_.Put("/c/ca.pem", "rubbish");
  next_check_ = absl::InvalidArgumentError("unable to use specified CA cert");

  EXPECT_THAT(Problems("scrape_configs:\n"
                       "- {job_name: a, tls_config: {ca_file: ca.pem}}\n"
                       "- {job_name: b, tls_config: {ca_file: ca.pem}}\n"),
              ElementsAre("/c/p.yml: line 2, column 17: unable to use specified CA cert",
                          "/c/p.yml: line 3, column 17: unable to use specified CA cert"));
  EXPECT_THAT(checked_, ElementsAre("/c/ca.pem", "/c/ca.pem"));
}

TEST_F(ConfigFilesTest, AFileThatEachRequestReadsMayComeYet) {
  files_.Put("/c/there", "secret");

  ASSERT_OK_AND_ASSIGN(
      const LoadedConfig loaded,
      Load("scrape_configs:\n"
           "- {job_name: a, basic_auth: {username_file: there, password_file: p}}\n"
           "- {job_name: b, authorization: {credentials_file: c}}\n"
           "- {job_name: c, bearer_token_file: t}\n"));

  std::vector<std::string> warnings;
  for (const ConfigWarning& warning : loaded.warnings) warnings.push_back(warning.ToString());
  EXPECT_THAT(warnings,
              ElementsAre(HasSubstr("line 2, column 52: password_file: open /c/p: No such file"),
                          HasSubstr("line 3, column 33: credentials_file: open /c/c: No such file"),
                          HasSubstr("line 4, column 17: bearer_token_file: open /c/t: No such")));
  EXPECT_THAT(warnings[0], HasSubstr("; requests fail until it is there"));
}

TEST_F(ConfigFilesTest, WithoutACheckNoFileIsOpened) {
  options_.check_client = nullptr;

  ASSERT_OK_AND_ASSIGN(const LoadedConfig loaded,
                       Load("scrape_configs: [{job_name: a, tls_config: {ca_file: none}}]\n"));
  EXPECT_THAT(loaded.warnings, IsEmpty());
}

TEST_F(ConfigFilesTest, ProblemsOfBothFilesAreTold) {
  trawl_config_ = "/c/t.yml";
  files_.Put("/c/t.yml", "global: {first_scrape: late}\n");

  EXPECT_THAT(Problems("x: 1\n"), ElementsAre(HasSubstr("/c/p.yml: line 1, column 1: field x"),
                                              HasSubstr("/c/t.yml: line 1, column 10: first_")));
}

TEST_F(ConfigFilesTest, AJobOfTheSecondFileMustBeInTheFirst) {
  trawl_config_ = "/c/t.yml";
  files_.Put("/c/t.yml", "jobs: {b: {first_scrape: immediate}}\n");

  EXPECT_THAT(Problems("scrape_configs: [{job_name: a}]\n"),
              ElementsAre("/c/t.yml: job \"b\" is not in the configuration file"));
}

TEST_F(ConfigFilesTest, AFileThatCannotBeReadIsToldByItsName) {
  trawl_config_ = "/none.yml";

  EXPECT_THAT(Problems("{}\n"),
              ElementsAre("can't read trawl's own configuration: open /none.yml: No such file or "
                          "directory"));
  EXPECT_THAT(LoadConfigFiles(files_, {"/nope.yml", ""}, options_).status().message(),
              "can't read the configuration: open /nope.yml: No such file or directory");
}

}  // namespace
}  // namespace trawl
