/** The parts in use of packages that bring no types. */
declare module 'snappyjs' {
  export function compress(bytes: Buffer): Buffer
  /** `lengthMax` is compared with the length the block claims, before anything is allocated. */
  export function uncompress(bytes: Buffer, lengthMax: number): Buffer
}
