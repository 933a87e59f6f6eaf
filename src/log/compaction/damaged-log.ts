/** Why a log cannot be compacted: what is stored does not make sense. Nothing of it is given up. */
export class DamagedLog extends Error {
  override readonly name = 'DamagedLog'
}
