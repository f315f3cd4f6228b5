package store

import (
	"context"
	"time"

	"gazetted/internal/news"
)

// Numbers of what is kept of relays.
const (
	trafficStep  = 5 * time.Minute // the grain in which traffic is counted
	keepTraffic  = 48 * time.Hour
	keepStates   = 24 * time.Hour // of processes that are no more
	maxRelayName = 255
)

// ReportRelays stores how the caller finds its relays, and adds to their
// traffic. It is for people and metrics: nothing is decided by it.
func (s *Store) ReportRelays(ctx context.Context, reports []news.RelayReport) error {
	return s.write(ctx, "report relays", func(t *tx) error {
		for _, r := range reports {
			r.At = t.now
			state, err := encode(r.RelayState)
			if err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO relay_states (relay, process, at, state) VALUES ($1, $2, $3, $4)
				ON CONFLICT (relay, process) DO UPDATE SET at = excluded.at, state = excluded.state`,
				clean(r.Relay), clean(r.Process), ms(t.now), clean(state)); err != nil {
				return err
			}
			for state, n := range r.Since {
				if _, err := t.exec(`INSERT INTO relay_traffic (relay, since, state, count) VALUES ($1, $2, $3, $4)
					ON CONFLICT (relay, since, state) DO UPDATE SET count = relay_traffic.count + excluded.count`,
					clean(r.Relay), ms(t.now.Truncate(trafficStep)), string(state), n); err != nil {
					return err
				}
			}
		}
		if _, err := t.exec(`DELETE FROM relay_states WHERE at < $1`, ms(t.now.Add(-keepStates))); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM relay_traffic WHERE since < $1`, ms(t.now.Add(-keepTraffic)))
		return err
	})
}

// RelayStates returns what processes last reported of their relays, by relay,
// the latest first.
func (s *Store) RelayStates(ctx context.Context) ([]news.RelayState, error) {
	var out []news.RelayState
	err := s.read(ctx, "read relay states", func(t *tx) error {
		var rows []string
		if err := t.all(&rows, `SELECT state FROM relay_states ORDER BY relay, at DESC, process`); err != nil {
			return err
		}
		out = make([]news.RelayState, len(rows))
		for i, r := range rows {
			if err := decode(r, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// RelayTraffic returns what went through each relay in the last hour and day,
// all processes together, to five minutes.
func (s *Store) RelayTraffic(ctx context.Context) (map[string]news.RelayTraffic, error) {
	out := map[string]news.RelayTraffic{}
	err := s.read(ctx, "read relay traffic", func(t *tx) error {
		var rows []struct {
			Relay string `db:"relay"`
			State string `db:"state"`
			Day   int    `db:"day"`
			Hour  int    `db:"hour"`
		}
		if err := t.all(&rows, `SELECT relay, state, CAST(sum(count) AS BIGINT) AS day,
			CAST(sum(CASE WHEN since > $2 THEN count ELSE 0 END) AS BIGINT) AS hour
			FROM relay_traffic WHERE since > $1 GROUP BY relay, state`,
			ms(t.now.Add(-24*time.Hour)), ms(t.now.Add(-time.Hour))); err != nil {
			return err
		}
		for _, r := range rows {
			x, ok := out[r.Relay]
			if !ok {
				x = news.RelayTraffic{Hour: news.DeliveryTally{}, Day: news.DeliveryTally{}}
				out[r.Relay] = x
			}
			x.Day[news.DeliveryState(r.State)] = r.Day
			if r.Hour > 0 {
				x.Hour[news.DeliveryState(r.State)] = r.Hour
			}
		}
		return nil
	})
	return out, err
}
