package configs

import (
	"strings"
	"testing"
)

const (
	userHead = "egress: {address: a.example:1, key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8}\nidentity: k\n"
	someHash = "$2a$10$vI8aWBnW3fID.ZQ4/zo1G.q1lRps.9cGLcZEiGDMVr5yUP1KUOYTa"
)

func TestAddAndRemoveUser(t *testing.T) {
	for name, tc := range map[string]struct{ before, after string }{
		"no section":      {userHead, userHead + "socks:\n  users:\n    \"al\": \"" + someHash + "\"\n"},
		"no users":        {"socks:\n    listen: 127.0.0.1:1 # why\n    #users:\n" + userHead, "socks:\n    listen: 127.0.0.1:1 # why\n    users:\n      \"al\": \"" + someHash + "\"\n    #users:\n" + userHead},
		"users":           {"socks:\n  users:\n     bo: x # his\n  reply: optimistic\n" + userHead, "socks:\n  users:\n     bo: x # his\n     \"al\": \"" + someHash + "\"\n  reply: optimistic\n" + userHead},
		"no last newline": {userHead + "socks:\n  users:\n    bo: x", userHead + "socks:\n  users:\n    bo: x\n    \"al\": \"" + someHash + "\"\n"},
		"windows":         {"socks:\r\n  reply: optimistic\r\n" + userHead, "socks:\r\n  reply: optimistic\r\n  users:\r\n    \"al\": \"" + someHash + "\"\r\n" + userHead},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddUser("c.yaml", []byte(tc.before), "al", someHash)
			if err != nil || string(got) != tc.after {
				t.Fatalf("AddUser =\n%s\n%v, want\n%s", got, err, tc.after)
			}
			back, err := RemoveUser("c.yaml", got, "al")
			if err != nil {
				t.Fatal(err)
			}
			c, err := ParseClient("c.yaml", back)
			if err != nil || c.Socks.Users["al"] != "" {
				t.Errorf("RemoveUser =\n%s\n%v", back, err)
			}
			if name == "users" && string(back) != tc.before {
				t.Errorf("RemoveUser =\n%s\nwant\n%s", back, tc.before)
			}
		})
	}
}

func TestEditUserRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, user, want string }{
		"flow":        {"socks: {reply: optimistic}\n" + userHead, "al", "by hand"},
		"flow users":  {"socks:\n  users: {bo: x}\n" + userHead, "al", "by hand"},
		"list":        {"socks:\n  users:\n    - {name: bo, password: x}\n" + userHead, "al", "by hand"},
		"there":       {"socks:\n  users:\n    al: x\n" + userHead, "al", "already has a user named al"},
		"no name":     {userHead, "", "1 to 255"},
		"long name":   {userHead, strings.Repeat("n", 256), "1 to 255"},
		"control":     {userHead, "a\nb", "control characters"},
		"broken file": {"nonsense: 1\n" + userHead, "al", "not a known key"},
	} {
		if got, err := AddUser("c.yaml", []byte(tc.text), tc.user, someHash); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: AddUser =\n%s\n%v, want %q", name, got, err, tc.want)
		}
	}
	for name, tc := range map[string]struct{ text, user, want string }{
		"not there": {userHead, "al", "has no user named al"},
		"flow":      {"socks:\n  users: {al: x, bo: y}\n" + userHead, "al", "by hand"},
		"last":      {"socks:\n  listen: :1\n  users:\n    al: x\n" + userHead, "al", "would be refused"},
	} {
		if got, err := RemoveUser("c.yaml", []byte(tc.text), tc.user); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: RemoveUser =\n%s\n%v, want %q", name, got, err, tc.want)
		}
	}
}

func TestSystemProxySetting(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"system_proxy: off\n": "",
		"system_proxy: pac\n": "",
		"system_proxy: socks\nsocks: {users: {a: b}}\n":                "socks.users",
		"system_proxy: pac\nsocks: {users: {a: b}}\n":                  "",
		"system_proxy: pac\nadmin: {listen: off}\n":                    "admin.listen",
		"system_proxy: socks\nadmin: {listen: off}\n":                  "",
		"system_proxy: socks\nsocks: {listen: \"unix:/tmp/x.sock\"}\n": "socks.listen",
		"system_proxy: on\n":                                           "one of",
	} {
		_, err := ParseClient("c.yaml", []byte(text+userHead))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "c.yaml:1:15: system_proxy: ")) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
