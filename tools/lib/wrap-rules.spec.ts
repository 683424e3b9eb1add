import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wrapComments } from './wrap-rules.ts'

const words = (count: number) => Array.from({ length: count }, (_, i) => `word${i}`).join(' ')

describe('wrapComments', () => {
  it('breaks a wide comment and lets the rest flow into the next line', () => {
    const out = wrapComments(`  // ${words(20)}\n  // end\n  code()`)
    const lines = out.split('\n')
    expect(lines.every((line) => line.length <= 100)).toBe(true)
    expect(lines.at(-1)).toBe('  code()')
    expect(lines.at(-2)).toContain('end')
    expect(out.replace(/\n {2}\/\/ /g, ' ')).toContain(`${words(20)} end`)
  })

  it('opens a block that stood on one line', () => {
    const lines = wrapComments(`/** ${words(20)} */`).split('\n')
    expect(lines[0]).toBe('/**')
    expect(lines.at(-1)).toBe(' */')
    expect(lines.slice(1, -1).every((line) => line.startsWith(' * word'))).toBe(true)
  })

  it('joins nothing to a tag, and leaves code and narrow lines alone', () => {
    const tagged = wrapComments(` * ${words(20)}\n * @param a b`)
    expect(tagged.split('\n').at(-1)).toBe(' * @param a b')
    const code = `const a = '${words(30)}'`
    expect(wrapComments(code)).toBe(code)
  })

  it('changes nothing but white space and comment marks', () => {
    const bare = (text: string) => text.replace(/\/\/|\s/g, '')
    const line = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { maxLength: 40 })
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        const text = lines.map((parts) => `// ${parts.join(' ')}`).join('\n')
        const out = wrapComments(text)
        expect(bare(out)).toBe(bare(text))
        expect(out.split('\n').every((each) => each.length <= 100)).toBe(true)
        expect(wrapComments(out)).toBe(out)
      }),
    )
  })
})
