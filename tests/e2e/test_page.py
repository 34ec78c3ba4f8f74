"""The page of the targets in a real browser."""
import json
import unittest

from browser import Browser
from harness import EndToEndTest, wait_for

HOSTILE = '"><img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'


class PageTest(EndToEndTest):
    def start(self, *flags):
        self.exporter_ = self.exporter(lambda path, n: f'scrape_number {n}\ngone{{x="1"}} 1\n')
        server = self.trawld(json.dumps({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [
                {"job_name": "good", "static_configs": [
                    {"targets": [self.exporter_.address], "labels": {"hostile": HOSTILE}}],
                 "metric_relabel_configs": [
                     {"source_labels": ["__name__"], "regex": "gone", "action": "drop"}]},
                {"job_name": "bad <b>job</b>", "static_configs": [{"targets": ["127.0.0.1:1"]}]},
                {"job_name": "dropping", "static_configs": [{"targets": ["127.0.0.1:2"]}],
                 "relabel_configs": [{"source_labels": ["job"], "regex": "dropping", "action": "drop"}]}]}),
            *flags).wait_ready()
        self.browser = Browser()
        self.addCleanup(self.browser.close)
        wait_for("scrapes", lambda: self.exporter_.scrapes > 3)
        self.browser.open(f"http://{server.http}/targets")
        self.browser.wait_text(".pool .name", "good")
        return server

    def test_pools_targets_failures_and_plots_are_seen_and_live(self):
        self.start()
        browser = self.browser

        self.assertEqual(sorted(browser.texts(".pool .name")), ["bad <b>job</b>", "dropping", "good"])
        browser.wait_text(".health", "UP")
        browser.wait_text(".health", "DOWN")
        browser.wait_text(".reason", "connect_refused")
        self.assertGreater(browser.run("return document.querySelectorAll('svg.plot rect.ok').length"), 3)
        before = browser.run("return Number(document.body.dataset.shown)")
        wait_for("the page to look again", lambda: browser.run(
            "return Number(document.body.dataset.shown)") > before + 1)
        self.assertEqual(browser.errors(), [])

    def test_the_buttons_of_a_target_with_long_labels_are_in_sight(self):
        long = {f"a_label_with_a_long_name_{n}": f"{n}-{'long-value-' * 12}" for n in range(6)}
        server = self.trawld(json.dumps({"scrape_configs": [{"job_name": "long", "static_configs": [
            {"targets": [f"{'a-long-name.' * 8}example:9"], "labels": long}]}]})).wait_ready()
        for dark in (False, True):
            with self.subTest(dark=dark):
                browser = Browser(dark)
                self.addCleanup(browser.close)
                browser.open(f"http://{server.http}/targets")
                browser.wait_text("td.actions", "Scrape now")
                # What is seen at the place of each button's corners is the button.
                self.assertEqual(browser.run("""
                    return [...document.querySelectorAll('td.actions button')].map(button => {
                      const r = button.getBoundingClientRect();
                      return [[r.left + 5, r.top + 5], [r.right - 5, r.bottom - 5]].every(
                        ([x, y]) => document.elementFromPoint(x, y) === button);
                    })"""), [True, True])

    def test_hostile_labels_are_text(self):
        self.start()

        self.assertTrue(any(HOSTILE in text for text in self.browser.run(
            "return [...document.querySelectorAll('.label')].map(e => e.textContent)")))
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main script, main b').length"), 0)
        self.assertNotIn("owned", self.browser.run("return document.title"))

    def test_filters_and_folds_survive_a_reload_in_the_address(self):
        self.start()
        browser = self.browser
        rows = "tr[data-id]"
        wait_for("two targets", lambda: len(browser.texts(rows)) == 2)

        browser.click("[data-health=down]")
        wait_for("the one that is down", lambda: len(browser.texts(rows)) == 1)
        self.assertIn("health=down", browser.address())
        browser.reload()
        wait_for("the same after a reload", lambda: len(browser.texts(rows)) == 1)
        browser.click("[data-health='']")
        browser.type("#search", "hostile=")
        wait_for("the one with the label", lambda: len(browser.texts(rows)) == 1)
        self.assertIn("search=hostile", browser.address())
        browser.type("#search", "no such thing")
        browser.wait_text(".more", "No target matches the filter.")
        browser.run("document.querySelector('#search').value = ''; "
                    "document.querySelector('#search').dispatchEvent(new Event('input'))")
        wait_for("both again", lambda: len(browser.texts(rows)) == 2)
        browser.click("#collapse")
        wait_for("all pools to fold", lambda: not browser.run(
            "return [...document.querySelectorAll('.fold')].some(f => f.getAttribute('aria-expanded') === 'true')"))
        browser.reload()
        browser.wait_text(".pool .name", "good")
        self.assertFalse(browser.run(
            "return [...document.querySelectorAll('.fold')].some(f => f.getAttribute('aria-expanded') === 'true')"))

    def test_dropped_targets_and_explanations(self):
        self.start()
        browser = self.browser

        browser.wait_text(".sub button", "Show 1 dropped")
        browser.click(".sub button")
        browser.wait_text(".pool td.error", "relabel_configs[0]")
        browser.run("[...document.querySelectorAll('.pool')].find(p => p.innerText.includes('relabel_configs[0]'))"
                    ".querySelector('td.actions button').click()")
        browser.wait_text("dialog .step.dropped", "relabel")
        browser.wait_text("dialog h3", "It is not scraped")
        browser.click("#dialog-close")
        browser.run("document.querySelector('tr[data-id] td.actions button').click()")
        browser.wait_text("dialog .step", "discovered")
        self.assertEqual(browser.errors(), [])

    def test_a_dropped_target_with_much_text_in_its_labels_is_explained(self):
        long = {f"label_{n}": "long-value-" * 100 for n in range(10)}
        server = self.trawld(json.dumps({"scrape_configs": [{
            "job_name": "long", "static_configs": [{"targets": ["a:1"], "labels": long}],
            "relabel_configs": [{"source_labels": ["job"], "regex": "long", "action": "drop"}]}]})).wait_ready()
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(f"http://{server.http}/targets?dropped=long")
        browser.wait_text(".pool td.error", "relabel_configs[0]")

        browser.click(".pool td.actions button")

        browser.wait_text("dialog .step.dropped", "relabel")
        self.assertEqual(browser.errors(), [])

    def test_targets_of_a_job_that_is_not_configured_are_seen(self):
        server = self.start()
        file = self.directory / "typo.json"
        file.write_text(json.dumps([{"targets": ["lost:1", "lost:2"]}]))
        server.trawlctl("push", file, "--job", "goood")
        browser = self.browser

        browser.wait_text(".pool .counts", "not in the configuration · 2 wait")
        browser.wait_text(".sub button", "Show 2 waiting")
        browser.run("[...document.querySelectorAll('.sub button')].find(b => b.innerText.includes('waiting')).click()")
        browser.wait_text(".pool td.error", "job goood is not in the running configuration")
        browser.wait_text(".pool td.labels", "lost:2")
        self.assertEqual(browser.errors(), [])

    def test_scrape_now_shows_each_samples_fate_if_it_is_allowed(self):
        self.start("--web.enable-admin-api")

        self.browser.run("[...document.querySelectorAll('tr[data-id]')].find(r => r.innerText.includes('hostile'))"
                         ".querySelectorAll('td.actions button')[1].click()")
        self.browser.wait_text("dialog td", "kept")
        self.browser.wait_text("dialog td", "dropped by metric_relabel_configs[0]")
        self.browser.wait_text("dialog pre", "scrape_number")

    def test_scrape_now_says_why_it_is_not_allowed(self):
        self.start()

        self.browser.run("document.querySelectorAll('tr[data-id] td.actions button')[1].click()")
        self.browser.wait_text("dialog .error", "admin APIs disabled")


if __name__ == "__main__":
    unittest.main()
