package sysproxy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"
)

func desktops(commander) []desktop { return []desktop{wininet{internetSettings{}}} }

// stateFile is below the folder for data that stays on this machine.
func stateFile() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "mpsocks", "system-proxy.json"), err
}

// internetSettings is the user's own key.
type internetSettings struct{}

const internetKey = `Software\Microsoft\Windows\CurrentVersion\Internet Settings`

func (internetSettings) get(name string) (value, error) {
	k, err := winreg.OpenKey(winreg.CURRENT_USER, internetKey, winreg.QUERY_VALUE)
	if err != nil {
		return value{}, fmt.Errorf("open %s: %w", internetKey, err)
	}
	defer k.Close()
	var v value
	if name == winEnable {
		var n uint64
		n, _, err = k.GetIntegerValue(name)
		v = is(strconv.FormatUint(n, 10))
	} else {
		v.Text, _, err = k.GetStringValue(name)
		v.Set = true
	}
	if errors.Is(err, winreg.ErrNotExist) {
		return value{}, nil
	}
	return v, err
}

func (internetSettings) set(name string, v value) error {
	k, err := winreg.OpenKey(winreg.CURRENT_USER, internetKey, winreg.SET_VALUE)
	if err != nil {
		return fmt.Errorf("open %s: %w", internetKey, err)
	}
	defer k.Close()
	switch {
	case !v.Set:
		if err := k.DeleteValue(name); !errors.Is(err, winreg.ErrNotExist) {
			return err
		}
		return nil
	case name == winEnable:
		n, err := strconv.ParseUint(v.Text, 10, 32)
		if err != nil {
			return err
		}
		return k.SetDWordValue(name, uint32(n))
	}
	return k.SetStringValue(name, v.Text)
}

// Options of InternetSetOption.
const (
	optionSettingsChanged = 39
	optionRefresh         = 37
)

var internetSetOption = windows.NewLazySystemDLL("wininet.dll").NewProc("InternetSetOptionW")

func (internetSettings) refresh() error {
	for _, option := range []uintptr{optionSettingsChanged, optionRefresh} {
		if ok, _, err := internetSetOption.Call(0, option, 0, 0); ok == 0 {
			return fmt.Errorf("InternetSetOption %d: %w", option, err)
		}
	}
	return nil
}
