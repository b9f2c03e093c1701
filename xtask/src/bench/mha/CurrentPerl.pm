# What MHA 0.58 needs in order to run on a current Perl and on servers without super_read_only.
# PERL5OPT loads this before MHA, which is changed in memory: its files stay as they were installed.
package CurrentPerl;

use strict;
use warnings;

BEGIN {
    # Since Perl 5.22 too many arguments for a format are a warning, and MHA's warnings are fatal:
    # it would end at the first version of a server that it reads.
    no warnings 'once';
    *CORE::GLOBAL::sprintf = sub ($@) {
        my $format = shift;
        no warnings 'redundant';
        return CORE::sprintf( $format, @_ );
    };
}

INIT {
    # MariaDB and MySQL before 5.7.8 have no such variable: it is off.
    no strict 'refs';
    no warnings 'redefine';
    my $asks = 'MHA::SlaveUtil::check_if_super_read_only';
    *$asks = sub { return ( 0, 0 ) }
      if defined &$asks;
}

1;
