package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
)

func (a *app) sourceHook() *cobra.Command {
	renew := false
	c := &cobra.Command{
		Use: "hook NAME [--renew]", Short: "Show how a site says that it has something new", Args: cobra.ExactArgs(1),
		Long: `Prints the address that a site calls when it has published something, and what
to install there. A call is only a hint: the source is looked at within seconds
instead of at its next interval, and what is found there is what counts.

Whoever has the address can cause looks, at most one every two seconds, and
nothing else. --renew makes a new one; the former then fails.`,
		Example: "  gazetted source hook blog\n  gazetted source hook blog --renew",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				src, err := d.Store.SourceByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				if src.Kind == news.SourcePush {
					return &news.FieldError{Field: "NAME", Value: src.Name, Want: "a source that is looked at: to a push source articles are sent (see docs/publish-api.md)"}
				}
				if renew {
					if src, err = d.Store.RenewHook(c.Context(), args[0]); err != nil {
						return err
					}
				}
				h := hookView{URL: d.Links.Hook(src), SignedURL: d.Links.HookSigned(src), Token: d.Links.HookToken(src), Secret: d.Links.HookSecret(src)}
				if a.json {
					return a.printJSON(h)
				}
				fmt.Fprint(a.stdout, h.text(src.Kind))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&renew, "renew", false, "make a new address; the former fails from now on")
	return c
}

// hookView is what a sender has to know.
type hookView struct {
	URL       string `json:"url"`
	SignedURL string `json:"signed_url"`
	Token     string `json:"token"`
	Secret    string `json:"secret"`
}

func (h hookView) text(kind news.SourceKind) string {
	switch kind {
	case news.SourceWordPress:
		return fmt.Sprintf(wordPressHook, h.URL)
	case news.SourceGhost:
		return fmt.Sprintf(ghostHook, h.SignedURL, h.Secret, h.URL)
	default:
		return fmt.Sprintf(plainHook, h.URL, h.SignedURL, h.Token)
	}
}

// wp_after_insert_post comes when terms and picture are stored, too; before it
// a new post is still without category. It fires for edits, trash and posts
// that were scheduled (WordPress 5.6 and later).
const wordPressHook = `%[1]s

In WordPress, put this into the theme's functions.php or a plugin of your own:

add_action( 'wp_after_insert_post', function ( $id, $post, $update, $before ) {
	$public = 'publish' === $post->post_status || ( $before && 'publish' === $before->post_status );
	if ( 'post' === $post->post_type && $public ) {
		wp_remote_post( '%[1]s', array( 'blocking' => false, 'timeout' => 2 ) );
	}
}, 10, 4 );

Or, with a plugin for webhooks, let it call that address after a post was
created, updated, deleted or trashed.
`

const ghostHook = `%[1]s

In Ghost: Settings → Integrations → Custom → Add webhook, once for each of the
events "Post published", "Published post updated", "Post unpublished" and
"Post deleted":

  Target URL  %[1]s
  Secret      %[2]s

Ghost before 5.87 signs in another way. Leave its secret empty and use as target
  %[3]s
`

const plainHook = `%[1]s

Call it after something was published, edited or removed:

  curl -X POST %[1]s

or, where addresses are logged that should not be known:

  curl -X POST -H "Authorization: Bearer %[3]s" %[2]s
`
