package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

const lease = 2 * time.Minute

// world is a newsroom, lists and readers, with the smallest possible digest
// and courier: enough to see what reaches whom.
type world struct {
	*newsroom
	inbox map[string][]string // address → "list: native ids" of each mail
	plans int
}

func newWorld(t *testing.T, db *dbtest.DB) *world {
	t.Helper()
	return &world{newsroom: newNewsroom(t, db, "site", true), inbox: map[string][]string{}}
}

func mustAddress(t testing.TB, s string) news.Address {
	t.Helper()
	a, err := news.ParseAddress("address", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func daily(name string) news.List {
	return news.List{
		Name: name, Title: "The " + name, Zone: "Europe/Berlin", Public: true,
		Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}, {Name: "weekly", Cron: "0 7 * * 1"}},
	}
}

func (w *world) list(l news.List) news.List {
	w.t.Helper()
	out, err := w.db.AddList(w.t.Context(), l)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// follow subscribes a confirmed reader.
func (w *world) follow(list, name, frequency string, topics ...news.Topic) news.Subscription {
	w.t.Helper()
	return w.followReq(news.SubscribeRequest{Address: mustAddress(w.t, name+"@example.org"), List: list, Frequency: frequency, Topics: topics, Confirmed: true})
}

func (w *world) followReq(req news.SubscribeRequest) news.Subscription {
	w.t.Helper()
	res, err := w.db.Subscribe(w.t.Context(), req, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.Subscription
}

func (w *world) subscription(id int64) news.Subscription {
	w.t.Helper()
	sub, _, _, err := w.db.Subscription(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// publish stores and releases articles; a name like "a/US/#Iran" carries terms.
func (w *world) publish(specs ...string) {
	w.t.Helper()
	fs := make([]news.Found, 0, len(specs))
	for _, spec := range specs {
		parts := strings.Split(spec, "/")
		fs = append(fs, found(parts[0], parts[1:]...))
	}
	w.put(fs...)
	w.db.Clock.Advance(30 * time.Second)
	if n := w.release(); n != len(specs) {
		w.t.Fatalf("released %d of %d", n, len(specs))
	}
}

func (w *world) until(instant string) {
	w.t.Helper()
	at, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db.Clock.Set(at)
}

func (w *world) take() (news.Edition, news.List) {
	w.t.Helper()
	e, l, ok, err := w.db.TakeSlot(w.t.Context(), lease)
	if err != nil || !ok {
		w.t.Fatalf("no slot: %v, %v", ok, err)
	}
	return e, l
}

func (w *world) takeNone() {
	w.t.Helper()
	e, _, ok, err := w.db.TakeSlot(w.t.Context(), lease)
	if err != nil || ok {
		w.t.Fatalf("took %+v, %v", e, err)
	}
}

// plan decides, as a digest does, which group gets which articles.
func (w *world) plan(e news.Edition, l news.List) news.Closing {
	w.t.Helper()
	groups, err := w.db.Audience(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	terms, err := w.db.Terms(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	tree := news.NewTermTree(terms)
	from := e.FromSeq
	for _, g := range groups {
		from = min(from, g.ServedThrough)
	}
	articles, err := w.db.ArticlesBetween(w.t.Context(), from, e.CutoffSeq, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	c := news.Closing{Edition: e, Articles: articles, Subject: "News", Slug: e.DueAt.Format(time.DateOnly), Now: w.db.Clock.Now()}
	for _, g := range groups {
		v := news.Variant{Language: g.Language, Subject: "News", HTML: "<p>", Text: "-", Group: g}
		for i := range articles {
			if a := &articles[i]; a.Seq > g.ServedThrough && tree.Matches(a, l.Filter) && tree.Matches(a, g.Topics) {
				v.ArticleIDs = append(v.ArticleIDs, a.ID)
			}
		}
		if len(v.ArticleIDs) == 0 {
			c.ServedEmpty = append(c.ServedEmpty, g)
			continue
		}
		w.plans++
		v.Nonce = fmt.Sprintf("nonce%d", w.plans)
		c.Variants = append(c.Variants, v)
	}
	return c
}

// close closes an edition and queues all its deliveries.
func (w *world) close(c news.Closing) news.Edition {
	w.t.Helper()
	e, err := w.db.CloseEdition(w.t.Context(), c)
	for err == nil && e.State == news.EditionQueueing {
		e, err = w.db.QueueDeliveries(w.t.Context(), e.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// closeDue makes all editions that are due and returns them as closed.
func (w *world) closeDue() []news.Edition {
	w.t.Helper()
	var out []news.Edition
	for {
		e, l, ok, err := w.db.TakeSlot(w.t.Context(), lease)
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, w.close(w.plan(e, l)))
	}
}

func (w *world) claim(limit int) []news.Delivery {
	w.t.Helper()
	ds, err := w.db.ClaimDeliveries(w.t.Context(), limit, lease)
	if err != nil {
		w.t.Fatal(err)
	}
	return ds
}

func (w *world) dot(d news.Delivery) bool {
	w.t.Helper()
	ok, err := w.db.MarkDot(w.t.Context(), d.ID, d.Token)
	if err != nil {
		w.t.Fatal(err)
	}
	return ok
}

func (w *world) record(os ...news.Outcome) {
	w.t.Helper()
	if err := w.db.RecordOutcomes(w.t.Context(), os); err != nil {
		w.t.Fatal(err)
	}
}

func accepted(d news.Delivery) news.Outcome {
	return news.Outcome{DeliveryID: d.ID, Token: d.Token, State: news.DeliveryAccepted, Relay: "main", Code: 250, Reply: "ok"}
}

// send delivers everything that is due and fills the inboxes.
func (w *world) send() {
	w.t.Helper()
	for {
		ds := w.claim(100)
		if len(ds) == 0 {
			break
		}
		for _, d := range ds {
			if !w.dot(d) {
				continue
			}
			w.inbox[d.Address] = append(w.inbox[d.Address], w.contents(d))
			w.record(accepted(d))
		}
	}
	if err := w.db.FinishEditions(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) contents(d news.Delivery) string {
	w.t.Helper()
	v, err := w.db.Variant(w.t.Context(), d.VariantID)
	if err != nil {
		w.t.Fatal(err)
	}
	if v.Kind == news.VariantConfirm {
		return "confirm"
	}
	frozen, err := w.db.EditionArticles(w.t.Context(), d.EditionID)
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, id := range v.ArticleIDs {
		i := slices.IndexFunc(frozen, func(a news.Article) bool { return a.ID == id })
		if i < 0 {
			w.t.Fatalf("article %d of variant %d is not frozen", id, v.ID)
		}
		ids = append(ids, frozen[i].NativeID)
	}
	return strings.Join(ids, " ")
}

// got is what a reader received, one string per mail.
func (w *world) got(name string) string {
	return strings.Join(w.inbox[name+"@example.org"], " | ")
}

func (w *world) delivery(id int64) news.Delivery {
	w.t.Helper()
	ds, err := w.db.Deliveries(w.t.Context(), news.DeliveryQuery{AfterID: id - 1, Limit: 1})
	if err != nil || len(ds) != 1 || ds[0].ID != id {
		w.t.Fatalf("delivery %d: %+v, %v", id, ds, err)
	}
	return ds[0]
}

func (w *world) edition(id int64) news.Edition {
	w.t.Helper()
	e, err := w.db.Edition(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// eachWorld runs f on both databases.
func eachWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) { f(t, newWorld(t, db)) })
}
