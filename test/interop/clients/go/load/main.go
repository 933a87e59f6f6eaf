// Load by franz-go; one line of output per event:
//
//	load produce bootstrap=… seconds=N rate=N bytes=N producer=ID,TOPIC,idempotent|plain,CODEC,ACKS,keyed|unkeyed …
//	(the mode may also be passing: to a topic that is deleted, so that nobody waits for the last records)
//	load consume bootstrap=… seconds=N group=G topics=T,…
//	load read bootstrap=… topics=T,… groups=G,…
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type options map[string][]string

func (o options) text(name string) string { return strings.Join(o[name], ",") }

func (o options) list(name string) []string {
	return strings.FieldsFunc(o.text(name), func(r rune) bool { return r == ',' })
}

func (o options) number(name string) int {
	number, err := strconv.Atoi(o.text(name))
	check(err)
	return number
}

func main() {
	given := options{}
	for _, argument := range os.Args[2:] {
		name, value, _ := strings.Cut(argument, "=")
		given[name] = append(given[name], value)
	}
	switch os.Args[1] {
	case "produce":
		produce(given)
	case "consume":
		consume(given)
	case "read":
		read(given)
	}
	flush()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var output struct {
	sync.Mutex
	bytes.Buffer
}

func say(format string, values ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Fprintf(&output.Buffer, format+"\n", values...)
	if output.Len() > 32_768 {
		writeOut()
	}
}

func flush() {
	output.Lock()
	defer output.Unlock()
	writeOut()
}

func writeOut() {
	_, err := os.Stdout.Write(output.Bytes())
	check(err)
	output.Reset()
}

// How long acknowledgements took, told once a second.
type latencies struct {
	sync.Mutex
	second int64
	values []float64
}

func (l *latencies) add(value time.Duration) {
	l.Lock()
	defer l.Unlock()
	now := time.Now().Unix()
	if now != l.second && len(l.values) > 0 {
		sort.Float64s(l.values)
		count := len(l.values)
		say("latency %d %d %.2f %.2f %.2f", l.second, count, l.values[count/2],
			l.values[min(count-1, count*99/100)], l.values[count-1])
		l.values = l.values[:0]
	}
	l.second = now
	l.values = append(l.values, float64(value.Microseconds())/1000)
}

type numbered struct {
	id, topic, padding string
	keyed, passing     bool
	client             *kgo.Client
	next               int
}

func newNumbered(bootstrap, specification string, size int) *numbered {
	parts := strings.Split(specification, ",")
	producer := &numbered{id: parts[0], topic: parts[1], keyed: parts[5] == "keyed", passing: parts[2] == "passing"}
	producer.padding = " " + strings.Repeat(producer.id+"-padding-", size)[:size]
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	settings := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codecs[parts[3]]),
		kgo.ProducerLinger(5 * time.Millisecond), kgo.RecordDeliveryTimeout(3 * time.Minute),
		kgo.ProduceRequestTimeout(10 * time.Second), kgo.RetryTimeout(3 * time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond })}
	if parts[4] == "1" {
		settings = append(settings, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	if parts[2] == "plain" {
		settings = append(settings, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	client, err := kgo.NewClient(settings...)
	check(err)
	producer.client = client
	return producer
}

func (p *numbered) send(ctx context.Context, measured *latencies) {
	number := p.next
	p.next++
	record := &kgo.Record{Topic: p.topic, Value: []byte(p.id + " " + strconv.Itoa(number) + p.padding)}
	if p.keyed {
		record.Key = []byte(strconv.Itoa(number % 17))
	}
	sentAt := time.Now()
	p.client.Produce(ctx, record, func(record *kgo.Record, err error) {
		if err != nil {
			say("fail %s %s %d %v", p.topic, p.id, number, err)
			return
		}
		say("ack %s %d %d %s %d", p.topic, record.Partition, record.Offset, p.id, number)
		measured.add(time.Since(sentAt))
	})
}

func produce(given options) {
	ctx := context.Background()
	var producers []*numbered
	for _, specification := range given["producer"] {
		producers = append(producers, newNumbered(given.text("bootstrap"), specification, given.number("bytes")))
	}
	measured := &latencies{}
	perTick := float64(given.number("rate")) / 50
	end := time.Now().Add(time.Duration(given.number("seconds")) * time.Second)
	for due := 0.0; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for due += perTick; due >= 1; due-- {
			for _, producer := range producers {
				producer.send(ctx, measured)
			}
		}
		flush()
	}
	for _, producer := range producers {
		if producer.passing {
			continue
		}
		check(producer.client.Flush(ctx))
		say("sent %s %s %d", producer.topic, producer.id, producer.next)
	}
}

type place struct {
	topic     string
	partition int32
}

func consume(given options) {
	group := given.text("group")
	var lock sync.Mutex
	expected := map[place]int64{}
	uncommitted := map[place]kgo.EpochOffset{}
	commit := func(client *kgo.Client) {
		lock.Lock()
		defer lock.Unlock()
		if len(uncommitted) == 0 {
			return
		}
		offsets := map[string]map[int32]kgo.EpochOffset{}
		for at, offset := range uncommitted {
			if offsets[at.topic] == nil {
				offsets[at.topic] = map[int32]kgo.EpochOffset{}
			}
			offsets[at.topic][at.partition] = offset
		}
		if err := commitNow(client, offsets); err != nil {
			say("uncommitted %s %v", group, err)
			return
		}
		now := time.Now().UnixMilli()
		for at, offset := range uncommitted {
			say("commit %s %s %d %d %d", group, at.topic, at.partition, offset.Offset, now)
		}
		clear(uncommitted)
	}
	forget := func(partitions map[string][]int32, all bool) {
		lock.Lock()
		defer lock.Unlock()
		for topic, numbers := range partitions {
			for _, number := range numbers {
				delete(expected, place{topic, number})
				if all {
					delete(uncommitted, place{topic, number})
				}
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(given.text("bootstrap")), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(given.list("topics")...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.SessionTimeout(2*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			forget(partitions, false)
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
			commit(client)
			forget(partitions, true)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			forget(partitions, true)
		}))
	check(err)
	end := time.Now().Add(time.Duration(given.number("seconds")) * time.Second)
	for commitAt := time.Now(); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		fetches := client.PollFetches(ctx)
		cancel()
		lock.Lock()
		fetches.EachRecord(func(record *kgo.Record) {
			at := place{record.Topic, record.Partition}
			awaited, known := expected[at]
			if !known {
				say("from %s %s %d %d %d", group, at.topic, at.partition, record.Offset, time.Now().UnixMilli())
			} else if awaited != record.Offset {
				say("gap %s %s %d %d %d", group, at.topic, at.partition, awaited, record.Offset)
			}
			expected[at] = record.Offset + 1
			uncommitted[at] = kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
		})
		lock.Unlock()
		if time.Now().After(commitAt) {
			commit(client)
			commitAt = time.Now().Add(500 * time.Millisecond)
		}
		client.AllowRebalance()
		flush()
	}
	commit(client)
	client.CloseAllowingRebalance()
}

// The answer holds an error per partition; any of them makes the commit count for nothing.
func commitNow(client *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) (failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client.CommitOffsetsSync(ctx, offsets,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if failed = err; failed != nil {
				return
			}
			for _, topic := range answer.Topics {
				for _, partition := range topic.Partitions {
					if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
						failed = err
					}
				}
			}
		})
	return failed
}

func read(given options) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	bootstrap := given.text("bootstrap")
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	check(err)
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, given.list("topics")...)
	check(err)
	check(ends.Error())
	starts := map[string]map[int32]kgo.Offset{}
	left := map[place]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		say("end %s %d %d", end.Topic, end.Partition, end.Offset)
		if end.Offset == 0 {
			return
		}
		if starts[end.Topic] == nil {
			starts[end.Topic] = map[int32]kgo.Offset{}
		}
		starts[end.Topic][end.Partition] = kgo.NewOffset().AtStart()
		left[place{end.Topic, end.Partition}] = end.Offset
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(starts))
	check(err)
	defer reader.Close()
	for len(left) > 0 {
		fetches := reader.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			check(failed.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			parts := strings.SplitN(string(record.Value), " ", 3)
			say("row %s %d %d %s %s", record.Topic, record.Partition, record.Offset, parts[0], parts[1])
			at := place{record.Topic, record.Partition}
			if record.Offset+1 >= left[at] {
				delete(left, at)
			}
		})
	}
	for _, group := range given.list("groups") {
		offsets, err := admin.FetchOffsets(ctx, group)
		check(err)
		offsets.Each(func(offset kadm.OffsetResponse) {
			say("committed %s %s %d %d", group, offset.Topic, offset.Partition, offset.At)
		})
	}
}
