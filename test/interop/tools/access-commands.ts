/**
 * What an administrator does with Kafka's tools where rights are given and taken, as a story for brokers
 * with an authorizer that lets everybody do what no entry is about. Who tells it is nobody in particular:
 * once there are entries about a resource, the tools that touch it are denied.
 */
import type { ToolCommand } from './commands.ts'

export const accessSettings: Readonly<Record<string, string>> = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
}

const tools = 'org.apache.kafka.tools.'

export function accessStory(at: string): readonly ToolCommand[] {
  const make = (script: string, main: string) => {
    return (what: string, options: Partial<ToolCommand> = {}): ToolCommand => ({
      name: `${script} ${what}`,
      main,
      args: ['--bootstrap-server', at, ...what.split(' ')],
      anyOrder: true,
      ...options,
    })
  }
  const acls = make('kafka-acls', `${tools}AclCommand`)
  const topics = make('kafka-topics', `${tools}TopicCommand`)
  const configs = make('kafka-configs', 'kafka.admin.ConfigCommand')
  const groups = make('kafka-consumer-groups', `${tools}consumer.group.ConsumerGroupCommand`)
  const offsets = make('kafka-get-offsets', `${tools}GetOffsetShell`)
  const producer = make('kafka-console-producer', `${tools}ConsoleProducer`)
  const consumer = make('kafka-console-consumer', `${tools}consumer.ConsoleConsumer`)
  const quorum = make('kafka-metadata-quorum', `${tools}MetadataQuorumCommand`)
  const exitOnly = { exitOnly: true }
  return [
    topics('--create --topic open'),
    topics('--create --topic guarded'),
    topics('--create --topic team-a'),
    acls('--list'),
    acls('--add --allow-principal User:alice --operation Read --topic guarded'),
    acls('--add --allow-principal User:alice --operation Read --topic guarded'),
    acls('--add --allow-principal User:bob --deny-principal User:carol --producer --topic made'),
    acls('--add --allow-principal User:bob --consumer --topic made --group readers'),
    acls('--add --allow-principal User:bob --producer --transactional-id tx --topic p'),
    acls(
      '--add --allow-principal User:dave --allow-host 10.0.0.1 --allow-host 10.0.0.2 ' +
        '--operation All --topic team- --resource-pattern-type prefixed',
    ),
    acls('--add --deny-principal User:* --deny-host 10.0.0.9 --operation Describe --topic *'),
    acls('--add --allow-principal User:alice --operation TwoPhaseCommit --transactional-id tx'),
    acls('--add --allow-principal User:alice --operation CreateTokens --user-principal User:bob'),
    acls('--add --allow-principal User:alice --operation Write --group readers', exitOnly),
    acls('--add --allow-principal alice --operation Read --topic guarded'),
    acls('--add --operation Read --topic guarded'),
    acls('--list'),
    acls('--list --topic guarded'),
    acls('--list --topic team-a --resource-pattern-type match'),
    acls('--list --topic team- --resource-pattern-type prefixed'),
    acls('--list --topic team-a --resource-pattern-type any'),
    acls('--list --principal User:bob'),
    acls('--list --transactional-id tx'),
    acls('--list --group readers'),
    acls('--list --user-principal User:bob'),
    topics('--list'),
    topics('--describe'),
    topics('--describe --topic guarded'),
    topics('--describe --topic missing'),
    topics('--delete --topic guarded'),
    topics('--alter --topic guarded --partitions 3'),
    topics('--create --topic team-b'),
    configs('--describe --entity-type topics --entity-name guarded'),
    configs('--alter --entity-type topics --entity-name guarded --add-config retention.ms=9'),
    offsets('--topic open'),
    offsets('--topic guarded'),
    producer('--topic open', { input: 'one\ntwo\n' }),
    producer('--topic guarded --sync', { input: 'one\n', ...exitOnly }),
    consumer('--topic open --from-beginning --max-messages 2 --timeout-ms 10000'),
    consumer('--topic guarded --from-beginning --timeout-ms 5000', exitOnly),
    consumer('--topic open --group readers --from-beginning --timeout-ms 5000', exitOnly),
    groups('--list'),
    groups('--describe --group readers'),
    groups('--delete --group readers'),
    acls('--remove --allow-principal User:alice --operation Read --topic guarded --force'),
    acls('--remove --topic missing --force'),
    acls('--remove --topic team- --resource-pattern-type prefixed --force'),
    acls('--remove --group readers --force'),
    acls('--list'),
    topics('--describe --topic guarded'),
    producer('--topic guarded', { input: 'one\n' }),
    configs('--alter --entity-type users --entity-name alice --add-config producer_byte_rate=9'),
    quorum('describe --status', exitOnly),
    acls('--add --allow-principal User:alice --operation Alter --cluster'),
    acls('--list', exitOnly),
    acls('--add --allow-principal User:alice --operation Read --topic never', exitOnly),
    configs('--describe --entity-type users', exitOnly),
    quorum('describe --status', exitOnly),
  ]
}
