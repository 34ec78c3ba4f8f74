// Records what Prometheus' own scrape manager stores in its own TSDB for a script of pages: the
// oracle of tests/conformance/scrape. Virtual time (testing/synctest), no network: a run takes
// seconds, and gives the same on every machine.
//
// Usage: go test ./scrape -count=1 -args -scenarios=FILE -expected=FILE
// The two formats stand in tests/conformance/README.md.
package scrape

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

var (
	scenariosFile = flag.String("scenarios", "", "the scenarios to play")
	expectedFile  = flag.String("expected", "", "where to write what came of them")
)

// A line of a scenario that is not indented, and the indented ones that follow it.
type step struct {
	words []string
	text  string
}

type scenario struct {
	name  string
	steps []step
}

func readScenarios(t *testing.T) []scenario {
	file, err := os.Open(*scenariosFile)
	check(t, err)
	defer file.Close()
	var all []scenario
	in := bufio.NewScanner(file)
	for in.Scan() {
		line := in.Text()
		if strings.HasPrefix(line, "  ") {
			steps := all[len(all)-1].steps
			steps[len(steps)-1].text += line[2:] + "\n"
			continue
		}
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
		case words[0] == "scenario":
			all = append(all, scenario{name: words[1]})
		default:
			last := &all[len(all)-1]
			last.steps = append(last.steps, step{words: words})
		}
	}
	check(t, in.Err())
	return all
}

// What a target serves.
type page struct {
	status      int
	contentType string
	delay       time.Duration
	refused     bool
	body        string
}

func readPage(t *testing.T, s step) page {
	p := page{status: 200, contentType: "text/plain;version=0.0.4", body: s.text}
	for _, word := range s.words[2:] {
		key, val, _ := strings.Cut(word, "=")
		switch key {
		case "status":
			_, err := fmt.Sscan(val, &p.status)
			check(t, err)
		case "type":
			p.contentType = val
		case "delay":
			var err error
			p.delay, err = time.ParseDuration(val)
			check(t, err)
		case "refused":
			p.refused = true
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return p
}

// A network of pipes, with one server behind every address.
type network struct {
	mutex    sync.Mutex
	pages    map[string]page
	requests []string
	conns    chan net.Conn
	closed   chan struct{}
}

func (n *network) page(host string) (page, bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	p, ok := n.pages[strings.TrimSuffix(host, ":80")]
	return p, ok && !p.refused
}

func (n *network) Dial(_ context.Context, _, address string) (net.Conn, error) {
	if _, ok := n.page(address); !ok {
		return nil, errors.New("connect: connection refused")
	}
	ours, theirs := net.Pipe()
	n.conns <- theirs
	return ours, nil
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}
func (n *network) Close() error   { close(n.closed); return nil }
func (n *network) Addr() net.Addr { return &net.IPAddr{} }

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mutex.Lock()
	n.requests = append(n.requests, "http://"+r.Host+r.URL.RequestURI())
	n.mutex.Unlock()
	p, _ := n.page(r.Host)
	select {
	case <-time.After(p.delay):
	case <-r.Context().Done():
		return
	}
	w.Header()["Content-Type"] = nil
	if p.contentType != "" {
		w.Header().Set("Content-Type", p.contentType)
	}
	w.WriteHeader(p.status)
	io.WriteString(w, p.body)
}

type world struct {
	t       *testing.T
	out     io.Writer
	network *network
	head    *tsdb.Head
	manager *scrape.Manager
	sets    chan map[string][]*targetgroup.Group
	current map[string][]*targetgroup.Group // what was sent last
	printed map[string]bool
}

func newWorld(t *testing.T, out io.Writer) *world {
	w := &world{t: t, out: out, printed: map[string]bool{}}
	w.network = &network{pages: map[string]page{}, conns: make(chan net.Conn),
		closed: make(chan struct{})}
	w.sets = make(chan map[string][]*targetgroup.Group)

	headOptions := tsdb.DefaultHeadOptions()
	headOptions.ChunkDirRoot = t.TempDir()
	head, err := tsdb.NewHead(nil, nil, nil, nil, headOptions, nil)
	check(t, err)
	w.head = head

	options := &scrape.Options{
		DiscoveryReloadInterval: model.Duration(time.Millisecond),
		HTTPClientOptions: []config_util.HTTPClientOption{
			config_util.WithDialContextFunc(w.network.Dial)},
	}
	// Not to depend on the machine's name. The field is there for tests, of Prometheus' own.
	field := reflect.ValueOf(options).Elem().FieldByName("fqdn")
	*(*string)(unsafe.Pointer(field.UnsafeAddr())) = "host"
	w.manager, err = scrape.NewManager(options, slog.New(slog.DiscardHandler), nil, nil, head,
		prometheus.NewRegistry())
	check(t, err)
	return w
}

func (w *world) apply(text string) {
	cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
	check(w.t, err)
	check(w.t, w.manager.ApplyConfig(cfg))
	jobs, err := cfg.GetScrapeConfigs()
	check(w.t, err)
	w.current = map[string][]*targetgroup.Group{}
	for _, job := range jobs {
		w.current[job.JobName] = []*targetgroup.Group{}
		for _, sd := range job.ServiceDiscoveryConfigs {
			w.current[job.JobName] = append(w.current[job.JobName], sd.(discovery.StaticConfig)...)
		}
	}
	w.sendSets()
}

func (w *world) setTargets(job string, addresses []string) {
	group := &targetgroup.Group{Source: "0"}
	for _, address := range addresses {
		group.Targets = append(group.Targets,
			model.LabelSet{model.AddressLabel: model.LabelValue(address)})
	}
	w.current = maps.Clone(w.current)
	w.current[job] = []*targetgroup.Group{group}
	w.sendSets()
}

func (w *world) sendSets() {
	w.sets <- w.current
	time.Sleep(10 * time.Millisecond)
}

func (w *world) show() {
	for _, request := range unique(w.network.requests) {
		fmt.Fprintln(w.out, "request", request)
	}
	w.network.requests = nil
	w.showSamples()
	w.showTargets()
}

func (w *world) showSamples() {
	querier, err := tsdb.NewBlockQuerier(w.head, math.MinInt64, math.MaxInt64)
	check(w.t, err)
	defer querier.Close()
	set := querier.Select(context.Background(), true, nil,
		labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	var lines []string
	for set.Next() {
		series := set.At()
		for it := series.Iterator(nil); it.Next() == chunkenc.ValFloat; {
			at, v := it.At()
			line := fmt.Sprintf("sample %d %s %s", at, series.Labels(), formatValue(v))
			if !w.printed[line] {
				lines = append(lines, line)
			}
			w.printed[line] = true
		}
	}
	check(w.t, set.Err())
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(w.out, line)
	}
}

func (w *world) showTargets() {
	var lines []string
	for job, targets := range w.manager.TargetsActive() {
		for _, target := range targets {
			message := ""
			if err := target.LastError(); err != nil {
				message = err.Error()
			}
			lines = append(lines, fmt.Sprintf("target %s %s %s %q", job, target.URL(),
				target.Health(), message))
		}
	}
	for job, count := range w.manager.TargetsDroppedCounts() {
		lines = append(lines, fmt.Sprintf("dropped %s %d", job, count))
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(w.out, line)
	}
}

func formatValue(v float64) string {
	if value.IsStaleNaN(v) {
		return "stale"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 && !(v == 0 && math.Signbit(v)) {
		return fmt.Sprintf("%d", int64(v))
	}
	return fmt.Sprintf("%016x", math.Float64bits(v))
}

func unique(lines []string) []string {
	sort.Strings(lines)
	var out []string
	for _, line := range lines {
		if len(out) == 0 || out[len(out)-1] != line {
			out = append(out, line)
		}
	}
	return out
}

func play(t *testing.T, s scenario, out io.Writer) {
	w := newWorld(t, out)
	server := &http.Server{Handler: w.network}
	server.SetKeepAlivesEnabled(false) // so that a page that is refused is
	go server.Serve(w.network)
	go w.manager.Run(w.sets)
	fmt.Fprintln(out, "scenario", s.name)
	for _, step := range s.steps {
		switch step.words[0] {
		case "config":
			w.apply(step.text)
		case "targets":
			w.setTargets(step.words[1], step.words[2:])
		case "ours": // not for Prometheus
		case "page":
			w.network.mutex.Lock()
			w.network.pages[step.words[1]] = readPage(t, step)
			w.network.mutex.Unlock()
		case "run":
			duration, err := time.ParseDuration(step.words[1])
			check(t, err)
			time.Sleep(duration)
			synctest.Wait()
			w.show()
		default:
			t.Fatalf("unknown step %q", step.words[0])
		}
	}
	w.manager.Stop()
	server.Close()
	check(t, w.head.Close())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecord(t *testing.T) {
	if *scenariosFile == "" {
		t.Skip("no -scenarios")
	}
	out, err := os.Create(*expectedFile)
	check(t, err)
	for _, s := range readScenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, s, out) })
		})
	}
	check(t, out.Close())
}
