// Package demo is the sample newsroom of "gazetted demo": thirty articles of an invented news site, The
// Meridian Gazette, and the pictures that go with them, published into a folder while people watch.
//
// The order of its work: New lays out DIR/articles and DIR/images; PublishInitial fills in the days before
// now, as if the site had been running for a while; PublishNext then releases one more article each time it
// is called. An article is published by writing its picture first, then its text under a name that starts
// with a dot, and renaming that: whoever watches the folder sees a whole article or none.
//
// The folder is the only memory. What a former run published there is left as it is.
package demo

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Folders that New makes below its directory. An article names its picture as "/images/NAME".
const (
	ArticleDir = "articles"
	ImageDir   = "images"
)

//go:embed articles/*.md
var articleFiles embed.FS

// Newsroom publishes the sample articles, in order, into one directory. It is for one goroutine at a time.
type Newsroom struct {
	dir      string
	now      func() time.Time
	articles []article
}

// New makes the folders below dir and reads the sample articles. Dates of articles are taken from now.
func New(dir string, now func() time.Time) (*Newsroom, error) {
	articles, err := loadArticles(articleFiles)
	if err != nil {
		return nil, fmt.Errorf("load sample articles: %w", err)
	}
	n := &Newsroom{dir: dir, now: now, articles: articles}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lay out newsroom: %w", err)
	}
	err = n.inside(func(root *os.Root) error {
		return errors.Join(root.MkdirAll(ArticleDir, 0o755), root.MkdirAll(ImageDir, 0o755))
	})
	if err != nil {
		return nil, fmt.Errorf("lay out newsroom: %w", err)
	}
	return n, nil
}

// Total is how many articles there are, published or not.
func (n *Newsroom) Total() int { return len(n.articles) }

// PublishInitial makes sure that the first count articles are published (all, if there are fewer). Those it
// writes are dated over the last days, in order, the newest about an hour ago; those that are there already stay.
func (n *Newsroom) PublishInitial(count int) error {
	count = min(count, len(n.articles))
	now := n.now()
	return n.inside(func(root *os.Root) error {
		for i := range max(0, count) {
			a := n.articles[i]
			done, err := a.published(root)
			if err != nil {
				return err
			}
			if done {
				continue
			}
			if err := a.publish(root, backDate(now, count-1-i), now); err != nil {
				return err
			}
		}
		return nil
	})
}

// PublishNext publishes the first article that is not in the folder, dated now, and returns its title.
// When all are published, ok is false.
func (n *Newsroom) PublishNext() (title string, ok bool, err error) {
	err = n.inside(func(root *os.Root) error {
		for _, a := range n.articles {
			done, err := a.published(root)
			if err != nil {
				return err
			}
			if done {
				continue
			}
			now := n.now()
			title, ok = a.title, true
			return a.publish(root, now, now)
		}
		return nil
	})
	if err != nil {
		return "", false, err
	}
	return title, ok, nil
}

// inside runs work with the newsroom's directory as root, so that no name can lead out of it.
func (n *Newsroom) inside(work func(*os.Root) error) error {
	root, err := os.OpenRoot(n.dir)
	if err != nil {
		return fmt.Errorf("open newsroom: %w", err)
	}
	return errors.Join(work(root), root.Close())
}

// backDate is when the article was published that has younger newer ones: 50 minutes ago for the newest, then
// a little under five hours apart, unevenly, as people write.
func backDate(now time.Time, younger int) time.Time {
	uneven := time.Duration(younger*37%53) * time.Minute
	return now.Add(-50*time.Minute - time.Duration(younger)*4*time.Hour - uneven)
}

func (a article) published(root *os.Root) (bool, error) {
	_, err := root.Stat(path.Join(ArticleDir, a.file))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", a.file, err)
	}
	return true, nil
}

// publish writes the picture, then the article. An article that was updated later says so 100 minutes after
// date, or now if that has not come yet.
func (a article) publish(root *os.Root, date, now time.Time) error {
	if a.image != "" {
		if err := a.publishImage(root); err != nil {
			return err
		}
	}
	updated := date.Add(100 * time.Minute)
	if updated.After(now) {
		updated = now
	}
	text := strings.NewReplacer("{{date}}", stamp(date), "{{updated}}", stamp(updated)).Replace(a.text)
	return writeWhole(root, ArticleDir, a.file, []byte(text))
}

func (a article) publishImage(root *os.Root) error {
	data, err := Image(a.image)
	if err != nil {
		return err
	}
	return writeWhole(root, ImageDir, a.image, data)
}

// stamp is RFC 3339 in UTC to the second, which YAML, TOML and JSON front matter all read as it stands.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// writeWhole makes the file appear complete or not at all, also after a crash: it is on disk before its name is.
func writeWhole(root *os.Root, folder, name string, data []byte) (err error) {
	temp := path.Join(folder, "."+name+".part")
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), ignoreMissing(root.Remove(temp)))
		}
	}()
	f, err := root.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// The file is whole from the moment it has its name; whoever watches need
	// not wait to see whether it still grows.
	rested := time.Now().Add(-time.Minute)
	if err := root.Chtimes(temp, rested, rested); err != nil {
		return err
	}
	return root.Rename(temp, path.Join(folder, name))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
