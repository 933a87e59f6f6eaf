/** What a Parquet file may ask of its reader, each with its reason. Beyond: ParquetError `limit`. */

/** A footer of a wide table (2 000 columns, 100 row groups) takes some 30 MiB. */
export const footerBytesMax = 256 * 1024 * 1024

/** Structs, lists' elements and strings in one footer: each costs some hundred bytes of heap. */
export const thriftElementsMax = 8_000_000

/** Structs within structs in a footer; the format itself needs nine. */
export const thriftDepthMax = 32

/** Groups within groups, of which a list takes two. Each adds a definition level at most, and those must fit a byte. */
export const schemaDepthMax = 250

/** Leaf columns of one file. */
export const leavesMax = 100_000

/** A page's header, with the statistics that may be in it. */
export const pageHeaderBytesMax = 16 * 1024 * 1024

/** One page unpacked. Writers aim at 1 MiB; one huge value makes one huge page. */
export const pageBytesMax = 512 * 1024 * 1024

/** Bytes of one column in one batch: offsets are int32. */
export const columnBatchBytesMax = 1024 * 1024 * 1024

/** Levels of one column in one batch, and so values of one row's lists. */
export const columnBatchValuesMax = 32 * 1024 * 1024

/** Rows in one batch, if nothing else is said; fewer where rows are large. */
export const batchRowsDefault = 16 * 1024

/** What the columns of a batch are meant to take together. */
export const batchBytesAim = 32 * 1024 * 1024

/** Bytes read at once from a column chunk. */
export const readBytes = 4 * 1024 * 1024
