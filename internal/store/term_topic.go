package store

import (
	"slices"

	"gazetted/internal/news"
)

// chosenTopics is a column in which people have written topics.
type chosenTopics struct{ choices, rewrite string }

func topicColumns() []chosenTopics {
	return []chosenTopics{
		{`SELECT DISTINCT topics FROM subscriptions WHERE replace(topics, $1, '') <> topics`, `UPDATE subscriptions SET topics = $1 WHERE topics = $2`},
		{`SELECT DISTINCT filter FROM lists WHERE replace(filter, $1, '') <> filter`, `UPDATE lists SET filter = $1 WHERE filter = $2`},
	}
}

// moveTopic lets lists and readers follow a term to another slug, its own new
// one or that of the term that it became part of. Who has both keeps one. Many
// readers make few different choices, so each choice is rewritten once, for all
// who made it.
func (t *tx) moveTopic(kind news.TermKind, from, to string) error {
	was, is := news.Term{Kind: kind, Slug: from}.Topic(), news.Term{Kind: kind, Slug: to}.Topic()
	moved := false
	for _, column := range topicColumns() {
		var choices []string
		if err := t.all(&choices, column.choices, `"`+string(was)+`"`); err != nil { // a slug needs no escaping in JSON
			return err
		}
		for _, choice := range choices {
			now, err := retopic(choice, was, is)
			if err != nil {
				return err
			}
			if _, err := t.exec(column.rewrite, now, choice); err != nil {
				return err
			}
			moved = true
		}
	}
	if moved {
		t.wake(news.WakeLists)
	}
	return nil
}

// retopic writes is for was in a stored choice, in the order of news.CleanTopics:
// equal choices share a Variant.
func retopic(choice string, was, is news.Topic) (string, error) {
	var topics []news.Topic
	if err := decode(choice, &topics); err != nil {
		return "", err
	}
	for i := range topics {
		if topics[i] == was {
			topics[i] = is
		}
	}
	slices.Sort(topics)
	return encode(slices.Compact(topics))
}
