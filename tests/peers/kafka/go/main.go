// The franz-go client of the Kafka tests: kafka-peer ADDRESS ID SCENARIO...
//
// It prints JSON lines: {"wrote": …} for each request as it went to a socket, and {"call": …} with what the library's
// hook says of a request and its answer (wrote.go). Every client's id begins with ID-SCENARIO, and so does every topic.
// The scenario `hold` waits for a line on stdin.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

var (
	address string
	name    string
	ctx     = context.Background()
)

// versions are Kafka's releases as whose client franz-go can pass: each speaks the API versions of its time.
var versions = []string{"0.11", "1.1", "2.1", "2.3", "2.4", "2.6", "2.8", "3.1", "3.5", "3.9", "4.0"}

func main() {
	if len(os.Args) < 4 {
		fail("usage: kafka-peer ADDRESS ID SCENARIO...")
	}
	scenarios := map[string]func(){
		"produce": produce, "group": group, "consumer": consumer, "transaction": transaction, "admin": admin,
		"versions": eachVersion, "hold": hold,
	}
	address = os.Args[1]
	for _, scenario := range os.Args[3:] {
		run, known := scenarios[scenario]
		if !known {
			fail("no scenario " + scenario)
		}
		name = os.Args[2] + "-" + scenario
		run()
	}
}

// === Scenarios ===

func produce() {
	create(name, 1)
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for kind, codec := range codecs {
		client := open(kind, kgo.ProducerBatchCompression(codec))
		send(client, 20)
		client.Close()
	}
	for kind, acks := range map[string]kgo.Acks{"acks-0": kgo.NoAck(), "acks-1": kgo.LeaderAck()} {
		client := open(kind, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite())
		for range 10 {
			send(client, 1)
		}
		client.Close()
	}
}

func group() { share(kgo.Balancers(kgo.CooperativeStickyBalancer())) }

// consumer is group with the broker's balancer: KIP-848.
func consumer() { share(kgo.ServerSideBalancer()) }

func transaction() {
	create(name, 1)
	client := open("producer", kgo.TransactionalID(name))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		check(client.BeginTransaction())
		send(client, 5)
		check(client.EndTransaction(ctx, end))
	}
	client.Close()
	session := must(kgo.NewGroupTransactSession(options("session", kgo.TransactionalID(name), kgo.ConsumerGroup(name),
		kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))...))
	for got := 0; got < 5; {
		fetches := session.PollFetches(ctx)
		got += fetches.NumRecords()
	}
	check(session.Begin())
	session.Produce(ctx, record(0), nil)
	must(session.End(ctx, kgo.TryCommit))
	session.Close()
}

func admin() {
	client := open("admin")
	defer client.Close()
	asked := kadm.NewClient(client)
	must(asked.BrokerMetadata(ctx))
	must(asked.CreateTopics(ctx, 2, 1, nil, name+"-a", name+"-b"))
	must(asked.ListTopics(ctx))
	must(asked.DescribeTopicConfigs(ctx, name+"-a"))
	must(asked.DescribeBrokerConfigs(ctx, 1))
	must(asked.ListStartOffsets(ctx, name+"-a"))
	must(asked.ListEndOffsets(ctx, name+"-a", name+"-b"))
	must(asked.CreatePartitions(ctx, 1, name+"-b"))
	must(asked.ListGroups(ctx))
	must(asked.DescribeGroups(ctx, name))
	must(asked.DescribeAllLogDirs(ctx, nil))
	must(asked.ListTransactions(ctx, nil, nil))
	must(asked.DescribeUserSCRAMs(ctx))
	must(asked.DeleteTopics(ctx, name+"-a", name+"-b", name+"-none"))
}

// eachVersion writes, reads, asks and commits as clients of many years did.
func eachVersion() {
	all := name
	for _, version := range versions {
		name = all + "-" + version
		old := kgo.MaxVersions(kversion.FromString("v" + version))
		client := open("client", old, kgo.ConsumerGroup(name), kgo.ConsumeTopics(name),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		asked := kadm.NewClient(client)
		must(must(asked.CreateTopics(ctx, 1, 1, nil, name)).On(name, nil))
		send(client, 3)
		for got := 0; got < 3; {
			got += client.PollFetches(ctx).NumRecords()
		}
		check(client.CommitUncommittedOffsets(ctx))
		must(asked.ListEndOffsets(ctx, name))
		must(asked.FetchOffsets(ctx, name))
		must(asked.DescribeGroups(ctx, name))
		must(asked.ListGroups(ctx))
		must(asked.DescribeTopicConfigs(ctx, name))
		must(asked.DeleteTopics(ctx, name))
		client.Close()
	}
}

func hold() {
	create(name, 1)
	client := open("producer")
	defer client.Close()
	stdin := bufio.NewReader(os.Stdin)
	for {
		for range 10 {
			send(client, 1)
		}
		fmt.Println(`{"held": true}`)
		if _, err := stdin.ReadString('\n'); err != nil {
			return
		}
	}
}

// === What they share ===

// share has two members of a group read the same records, one after the other joining.
func share(balancers kgo.GroupOpt) {
	create(name, 4)
	producer := open("producer")
	defer producer.Close()
	member := func(suffix string) *kgo.Client {
		return open(suffix, kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), balancers,
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(500*time.Millisecond))
	}
	first := member("first")
	send(producer, 40)
	for got := 0; got < 40; {
		got += first.PollFetches(ctx).NumRecords()
	}
	check(first.CommitUncommittedOffsets(ctx))
	second := member("second")
	for end := time.Now().Add(20 * time.Second); ; {
		send(producer, 4)
		if poll(second) > 0 {
			break
		}
		poll(first)
		if time.Now().After(end) {
			fail(name + ": no rebalance")
		}
	}
	second.Close()
	first.Close()
}

// poll waits for a moment.
func poll(client *kgo.Client) int {
	brief, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	return client.PollFetches(brief).NumRecords()
}

func options(client string, more ...kgo.Opt) []kgo.Opt {
	log := &log{client: name + "-" + client}
	return append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.ClientID(log.client), kgo.WithHooks(log), kgo.Dialer(log.dial),
		kgo.DefaultProduceTopic(name), kgo.MetadataMinAge(50 * time.Millisecond),
	}, more...)
}

func open(client string, more ...kgo.Opt) *kgo.Client {
	return must(kgo.NewClient(options(client, more...)...))
}

func create(topic string, partitions int32) {
	client := open("setup")
	defer client.Close()
	must(must(kadm.NewClient(client).CreateTopics(ctx, partitions, 1, nil, topic)).On(topic, nil))
}

func record(at int) *kgo.Record {
	return &kgo.Record{
		Key:     fmt.Appendf(nil, "key%d", at),
		Value:   fmt.Appendf(nil, "value %d %s", at, strings.Repeat("abcdefgh", 5)),
		Headers: []kgo.RecordHeader{{Key: "trace", Value: fmt.Appendf(nil, "id%d", at)}},
	}
}

func send(client *kgo.Client, records int) {
	all := make([]*kgo.Record, records)
	for at := range all {
		all[at] = record(at)
	}
	check(client.ProduceSync(ctx, all...).FirstErr())
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "kafka-peer:", why)
	os.Exit(1)
}
