/** The plug-ins that a worker has, by their classes' names and what stands for them. */
import { nameOfClass } from './converters/known-converters.ts'
import type { ConnectorPlugin, PredicatePlugin, TransformationPlugin } from './plugin.ts'

export type AnyPlugin = ConnectorPlugin | TransformationPlugin | PredicatePlugin

export class Plugins {
  readonly connectors: ReadonlyMap<string, ConnectorPlugin>
  readonly transformations: ReadonlyMap<string, TransformationPlugin>
  readonly predicates: ReadonlyMap<string, PredicatePlugin>

  constructor(all: readonly AnyPlugin[]) {
    const named = <P extends AnyPlugin>(list: readonly P[]) =>
      new Map(list.map((plugin) => [plugin.className, plugin]))
    this.connectors = named(all.filter(isConnector))
    this.transformations = named(all.filter((plugin) => plugin.type === 'transformation'))
    this.predicates = named(all.filter((plugin) => plugin.type === 'predicate'))
  }

  /** By the full name, the simple one, or that without `Connector`. */
  connector(name: string): ConnectorPlugin | undefined {
    return found(this.connectors, name, 'Connector')
  }

  /** The classes of `….Cast` are `….Cast$Key` and `….Cast$Value`. */
  transformation(name: string): TransformationPlugin | undefined {
    return found(this.transformations, name, 'Transformation')
  }

  predicate(name: string): PredicatePlugin | undefined {
    return found(this.predicates, name, 'Predicate')
  }

  /** Of whatever type. */
  any(name: string): AnyPlugin | undefined {
    return this.connector(name) ?? this.transformation(name) ?? this.predicate(name)
  }
}

function isConnector(plugin: AnyPlugin): plugin is ConnectorPlugin {
  return plugin.type === 'sink' || plugin.type === 'source'
}

function found<P>(plugins: ReadonlyMap<string, P>, name: string, ending: string): P | undefined {
  const className = nameOfClass(plugins.keys(), name, ending)
  return className === undefined ? undefined : plugins.get(className)
}
