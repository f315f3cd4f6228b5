package digest

import (
	"fmt"
	"time"

	"gazetted/internal/news"
)

// Terms of the tests' newspaper.
const (
	termWorld = iota + 1
	termUS
	termBusiness
	termCulture
	termTravel
	termCartels
	termMexico
	termMilitary
	termShipping
	termWheat
	termMuseums
	termTrains
)

func worldTerms() []news.Term {
	return []news.Term{
		{ID: termWorld, Kind: news.KindCategory, Slug: "world", Name: "World", Articles: 400},
		{ID: termUS, Kind: news.KindCategory, Slug: "us", Name: "US", ParentID: termWorld, Articles: 120},
		{ID: termBusiness, Kind: news.KindCategory, Slug: "business", Name: "Business", Articles: 90},
		{ID: termCulture, Kind: news.KindCategory, Slug: "culture", Name: "Culture", Articles: 60},
		{ID: termTravel, Kind: news.KindCategory, Slug: "travel", Name: "Travel", Articles: 40},
		{ID: termCartels, Kind: news.KindTag, Slug: "cartels", Name: "Cartels", Articles: 4},
		{ID: termMexico, Kind: news.KindTag, Slug: "mexico", Name: "Mexico", Articles: 12},
		{ID: termMilitary, Kind: news.KindTag, Slug: "u-s-military", Name: "U.S. Military", Articles: 30},
		{ID: termShipping, Kind: news.KindTag, Slug: "shipping", Name: "Shipping", Articles: 9},
		{ID: termWheat, Kind: news.KindTag, Slug: "wheat", Name: "Wheat", Articles: 5},
		{ID: termMuseums, Kind: news.KindTag, Slug: "museums", Name: "Museums", Articles: 7},
		{ID: termTrains, Kind: news.KindTag, Slug: "night-trains", Name: "Night trains", Articles: 3},
	}
}

func pick(ids ...int64) []news.Term {
	var out []news.Term
	for _, t := range worldTerms() {
		for _, id := range ids {
			if t.ID == id {
				out = append(out, t)
			}
		}
	}
	return out
}

func worldList() news.List {
	return news.List{
		ID: 7, Name: "morning", Title: "The Morning Gazette", Description: "The news of the day before breakfast", Language: "en",
		Zone: "Europe/Istanbul", Template: "default", Public: true,
		Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}, {Name: "weekly", Cron: "0 7 * * sun"}, {Name: news.Instant}},
		CreatedAt:   time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC),
	}
}

func worldEdition() news.Edition {
	return news.Edition{
		ID: 41, ListID: 7, ListName: "morning", Frequency: "daily", Zone: "Europe/Istanbul", SlotKey: "2025-11-20T04:00:00Z",
		DueAt: time.Date(2025, 11, 20, 4, 0, 0, 0, time.UTC), State: news.EditionOpen, FromSeq: 100, CutoffSeq: 200,
	}
}

// at is a time on 19 November 2025, UTC.
func at(hour, minute int) time.Time { return time.Date(2025, 11, 19, hour, minute, 0, 0, time.UTC) }

func worldArticles() []news.Article {
	article := func(id int64, title string, published time.Time, categories, tags []news.Term) news.Article {
		return news.Article{
			ID: id, SourceID: 1, Seq: 100 + id, URL: fmt.Sprintf("https://www.example.org/2025/11/article-%d/", id), GUID: fmt.Sprintf("g%d", id), Title: title,
			Visibility: news.VisibilityPublic, State: news.ArticleReleased, PublishedAt: published, FirstSeenAt: published, ReleasedAt: published.Add(time.Minute),
			Categories: categories, Tags: tags,
		}
	}
	picture := func(n int, alt string) *news.Image {
		return &news.Image{URL: fmt.Sprintf("https://www.example.org/pictures/%d.jpg", n), Alt: alt, Type: "image/jpeg", Width: 1200, Height: 675}
	}

	mexico := article(1, "Mexico turns down U.S. troops against the cartels", at(10, 28), pick(termUS), pick(termCartels, termMexico, termMilitary))
	mexico.Authors = []news.Author{{Name: "Nina Kapoor"}}
	mexico.UpdatedAt = at(13, 5)
	mexico.Image = picture(1, "The president speaks in front of the National Palace")
	mexico.Summary = "The president has rejected an offer of American soldiers against drug gangs for the second time this month. Cooperation goes on, she said, but at police headquarters and in court, not with foreign boots on Mexican ground."
	mexico.CommentsURL = mexico.URL + "#comments"

	ports := article(2, "Three ports share one crane driver, and he works from home", at(15, 10), pick(termBusiness, termWorld), pick(termShipping))
	ports.Authors = []news.Author{{Name: "Tomás Ferreira"}, {Name: "Ayşe Demir"}}
	ports.Image = picture(2, "Gantry cranes above a container ship at dusk")
	ports.ContentHTML = `<p>Lisbon</p><p>From a spare bedroom above a bakery, a man with a joystick loads ships that he has never seen. The experiment began as a stopgap in a strike; a year later the harbours of three countries pay into his salary, and insurers have stopped asking. <a href="/other">Read another news on example.org</a>.</p>
<ul><li>Contents</li></ul><h2>Why</h2><p>Ports are short of drivers everywhere.</p>`

	wheat := article(3, "Wheat falls to its lowest price in five years", at(8, 0), pick(termBusiness), pick(termWheat, termShipping))
	wheat.Authors = []news.Author{{Name: "Olena Marchuk"}}
	wheat.Summary = "Good rain on three continents has done what two summits could not. Bakers expect little change: flour is a tenth of the price of a loaf."

	museum := article(4, "A museum of unfinished things opens unfinished", at(17, 45), pick(termCulture), pick(termMuseums))
	museum.Authors = []news.Author{{Name: "Ines Albrecht"}}
	museum.Image = picture(3, "")
	museum.Summary = "One wing has no roof, the catalogue ends in the middle of a sentence, and the director considers both a success. Visitors are asked to leave before the last room."

	train := article(5, "The night train to Varna is back, with a library", at(19, 20), pick(termTravel), pick(termTrains))
	train.Visibility = news.VisibilityMembers
	train.Authors = []news.Author{{Name: "Petar Ivanov"}}
	train.Summary = "This must not be mailed."
	train.ContentHTML = "<p>This must not be mailed either, under no circumstances.</p>"
	return []news.Article{mexico, ports, wheat, museum, train}
}

func worldCandidates() []news.Article {
	old := func(id int64, title string, days int, image bool, categories, tags []news.Term) news.Article {
		a := news.Article{
			ID: id, Seq: id - 900, Archive: true, URL: fmt.Sprintf("https://www.example.org/archive/%d/", id), Title: title, Visibility: news.VisibilityPublic, State: news.ArticleReleased,
			PublishedAt: at(9, 0).AddDate(0, 0, -days), Authors: []news.Author{{Name: "Nina Kapoor"}}, Categories: categories, Tags: tags,
		}
		if image {
			a.Image = &news.Image{URL: fmt.Sprintf("https://www.example.org/pictures/%d.jpg", id), Alt: "A picture of " + title, Width: 1200, Height: 800}
		}
		return a
	}
	return []news.Article{
		old(901, "Border cities count the cost of a quiet year", 12, true, pick(termUS), pick(termMexico, termCartels)),
		old(902, "The last lighthouse keepers of the Bosphorus", 30, true, pick(termCulture), pick(termShipping)),
		old(903, "What a loaf of bread is made of", 44, true, pick(termBusiness), pick(termWheat)),
		old(904, "Small museums, big cellars", 20, false, pick(termCulture), pick(termMuseums)),
		old(905, "A barracks becomes a school", 200, true, pick(termUS), pick(termMilitary)),
		old(906, "Sleeping cars, a short history", 300, true, pick(termTravel), pick(termTrains)),
	}
}

// world is a store with one due edition of five articles for one reader.
func world() *fakeStore {
	return &fakeStore{
		list: worldList(), open: []news.Edition{worldEdition()}, terms: worldTerms(), articles: worldArticles(), candidates: worldCandidates(),
		groups: map[int64][]news.AudienceGroup{41: {{ServedThrough: 100, Language: "en", Subscribers: 1}}},
	}
}
