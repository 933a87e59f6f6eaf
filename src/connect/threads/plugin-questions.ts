/**
 * What a plug-in is asked while nothing of it runs: whether it takes settings, and to move offsets that it keeps itself.
 * Where there may be plug-ins of others, each question is asked in a thread of its own, so that one that loops holds
 * nobody else.
 */
import { HttpError } from '../../http/routes.ts'
import { ConnectException } from '../failures.ts'
import type { SinkPlugin, SourcePlugin } from '../plugin.ts'
import type { Worker } from '../runtime/worker.ts'
import { type ConfigInfos, validateConnector } from '../validation.ts'
import type { PluginQuestion } from './questions.ts'

type Answer<Question extends PluginQuestion> = Question['kind'] extends 'validate'
  ? ConfigInfos
  : boolean

/** Rejects with what the plug-in throws, and with HttpError 500 where its thread had to be ended. */
export async function askPlugin<Question extends PluginQuestion>(
  worker: Worker,
  question: Question,
): Promise<Answer<Question>> {
  const { threads, settings } = worker
  const hasOthers = (settings.get('plugin.path') ?? '').trim() !== ''
  const answer =
    threads === undefined || !hasOthers
      ? await answerPlugin(worker, question)
      : await threads.askApart(question, (cause) => new HttpError(500, cause.message, { cause }))
  return answer as Answer<Question>
}

/** Where it is asked. Of offsets: whether the plug-in keeps any, which are moved. */
export async function answerPlugin(
  worker: Worker,
  question: PluginQuestion,
): Promise<ConfigInfos | boolean> {
  const { plugins, exactlyOnceGroup } = worker
  const { className, settings } = question
  const plugin = plugins.connector(className)
  if (plugin === undefined) throw new ConnectException(`There is no connector ${className}`)
  switch (question.kind) {
    case 'validate': {
      const isExactlyOnce = exactlyOnceGroup !== null
      return validateConnector(plugin, settings, { plugins, isExactlyOnce })
    }
    case 'checkOffsets':
      await (plugin as SinkPlugin).connector().checkOffsets?.(settings, question.offsets)
      return true
    case 'alterSinkOffsets': {
      const connector = (plugin as SinkPlugin).connector()
      return (await connector.alterOffsets?.(settings, question.offsets)) ?? false
    }
    case 'alterSourceOffsets': {
      const connector = (plugin as SourcePlugin).connector()
      return (await connector.alterOffsets?.(settings, question.offsets)) ?? false
    }
  }
}
