/**
 * Floats as texts, as Java has them: the fewest digits that read as the same number, never less than one behind the point,
 * with an exponent from ten million on and below a thousandth (`1.0E7`). Keys in JSON are bytes that decide on partitions,
 * so they have to be the same whoever writes them.
 */

export function float64Text(value: number): string {
  return textOf(value, value.toExponential(), Number)
}

/** With the digits that tell it from other FLOAT32. */
export function float32Text(value: number): string {
  for (let digits = 0; digits < 8; digits++) {
    const short = value.toExponential(digits)
    if (Math.fround(Number(short)) === value)
      return textOf(value, short, (text) => Math.fround(Number(text)))
  }
  return textOf(value, value.toExponential(8), Number)
}

function textOf(value: number, shortest: string, read: (text: string) => number): string {
  if (!Number.isFinite(value)) return String(value)
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  // Two digits are always shown: 4.9E-324 is nearer than 5.0E-324.
  const two = value.toExponential(1)
  const [digits, exponent] = partsOf(
    !shortest.includes('.') && read(two) === value ? two : shortest,
  )
  const sign = value < 0 ? '-' : ''
  if (exponent >= 7 || exponent < -3)
    return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${exponent}`
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`
}

/** Its digits, without zeros at their end, and the power of ten of the first. */
function partsOf(exponential: string): [string, number] {
  const [, first, others = '', exponent] = /^-?(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(exponential)!
  return [`${first}${others}`.replace(/(?!^)0+$/, ''), Number(exponent)]
}
