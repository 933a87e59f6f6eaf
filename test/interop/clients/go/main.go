// franz-go: produce a file's lines, consume them in a group, administer.
//
// usage: roundtrip produce|consume|admin|version BOOTSTRAP TOPIC [GROUP COUNT]
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if os.Args[1] == "version" {
		info, _ := debug.ReadBuildInfo()
		for _, module := range info.Deps {
			if module.Path == "github.com/twmb/franz-go" {
				fmt.Println("franz-go", module.Version)
			}
		}
		return
	}
	bootstrap, topic := os.Args[2], os.Args[3]
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	switch os.Args[1] {
	case "produce":
		check(produce(ctx, bootstrap, topic))
	case "consume":
		count, err := strconv.Atoi(os.Args[5])
		check(err)
		check(consume(ctx, bootstrap, topic, os.Args[4], count))
	case "admin":
		check(administer(ctx, bootstrap, topic))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, bootstrap, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	defer client.Close()
	var once sync.Once
	var failed error
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for number := 0; lines.Scan(); number++ {
		record := &kgo.Record{Key: []byte(strconv.Itoa(number)), Value: append([]byte(nil), lines.Bytes()...)}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return failed
}

func consume(ctx context.Context, bootstrap, topic, group string, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	defer client.Close()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for seen := 0; seen < count; {
		fetches := client.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("after %d records: %w", seen, errs[0].Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			out.Write(record.Value)
			out.WriteByte('\n')
			seen++
		})
	}
	return client.CommitUncommittedOffsets(ctx)
}

func administer(ctx context.Context, bootstrap, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 3, 1, nil, topic); err != nil {
		return err
	}
	if _, err := admin.CreateTopic(ctx, 3, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("a topic was created twice: %v", err)
	}
	if _, err := admin.UpdatePartitions(ctx, 5, topic); err != nil {
		return err
	}
	details, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if partitions := len(details[topic].Partitions); partitions != 5 {
		return fmt.Errorf("%d partitions instead of 5", partitions)
	}
	value := "12345"
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, topic); err != nil {
		return err
	}
	if _, err := admin.DescribeTopicConfigs(ctx, topic); err != nil {
		return err
	}
	if _, err := admin.ListEndOffsets(ctx, topic); err != nil {
		return err
	}
	if _, err := admin.ListGroups(ctx); err != nil {
		return err
	}
	if _, err := admin.DescribeAllLogDirs(ctx, nil); err != nil {
		return err
	}
	_, err = admin.DeleteTopic(ctx, topic)
	return err
}
