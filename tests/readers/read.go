// read ARCHIVE...: Go's archive/zip reads every member of each archive to its end, which compares size and CRC, and takes no name
// for an unsafe one. The number of members and of bytes is printed.
package main

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
)

func read(path string) error {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	var bytes int64
	for _, member := range archive.File {
		if !member.Mode().IsRegular() {
			return fmt.Errorf("%s: %s is %s", path, member.Name, member.Mode())
		}
		stream, err := member.Open()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, member.Name, err)
		}
		count, err := io.Copy(io.Discard, stream)
		stream.Close()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, member.Name, err)
		}
		bytes += count
	}
	fmt.Println(len(archive.File), bytes)
	return nil
}

func main() {
	for _, path := range os.Args[1:] {
		if err := read(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
